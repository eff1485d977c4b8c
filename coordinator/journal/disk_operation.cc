#include "coordinator/journal/disk_operation.h"

#include <utility>

#include "coordinator/journal/segment.h"

namespace trireme::journal {

DiskResult perform(Disk& disk, const DiskOperation& operation) {
  const std::string name = segment_name(operation.segment);
  switch (operation.kind) {
    case DiskOperation::Kind::kReserve: {
      Status status = disk.reserve(name, operation.bytes);
      if (status.ok() && operation.sync_folder) status = disk.sync_folder();
      return {status, {}};
    }
    case DiskOperation::Kind::kShorten:
      return {disk.shorten(name, operation.bytes), {}};
    case DiskOperation::Kind::kWrite:
      return {disk.write(name, operation.offset, operation.data), {}};
    case DiskOperation::Kind::kSync:
      return {disk.sync(name), {}};
    case DiskOperation::Kind::kUnlink:
      return {disk.unlink(name), {}};
    case DiskOperation::Kind::kRead:
      break;
  }
  StatusOr<std::string> bytes = disk.read(name, operation.offset, operation.bytes);
  if (!bytes.ok()) return {bytes.status(), {}};
  return {ok_status(), *std::move(bytes)};
}

}  // namespace trireme::journal
