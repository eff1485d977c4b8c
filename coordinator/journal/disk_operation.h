// An operation on the disk as a value: JournalLog decides on it, its caller carries it out. Pure
// but for perform().
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/status.h"
#include "coordinator/journal/disk.h"

namespace trireme::journal {

struct DiskOperation {
  enum class Kind : uint8_t { kReserve, kShorten, kWrite, kSync, kRead, kUnlink };
  Kind kind = Kind::kWrite;
  uint64_t segment = 0;
  uint64_t offset = 0;       // kWrite, kRead
  uint64_t bytes = 0;        // kReserve, kShorten: of the file; kRead
  std::string_view data;     // kWrite: valid until the result is reported
  bool sync_folder = false;  // kReserve
};

struct DiskResult {
  Status status;
  std::string bytes;  // kRead
};

DiskResult perform(Disk& disk, const DiskOperation& operation);

}  // namespace trireme::journal
