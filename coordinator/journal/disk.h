// The files of a journal, in one folder. An interface: PosixDisk is the real one; tests and the
// simulation have one with a page cache that can be lost. One thread at a time.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"

namespace trireme::journal {

struct DiskFile {
  std::string name;
  uint64_t bytes = 0;
};

// Errors: TRI-JRN-004, the disk is full; TRI-JRN-005, anything else.
class Disk {
 public:
  virtual ~Disk() = default;
  virtual StatusOr<std::vector<DiskFile>> list() = 0;
  // At most `bytes`: fewer at the end of the file.
  virtual StatusOr<std::string> read(const std::string& name, uint64_t offset, uint64_t bytes) = 0;
  // Creates the file, or extends it, so that its first `bytes` bytes have room; new ones are 0. A
  // new file for which there is no room is removed again.
  virtual Status reserve(const std::string& name, uint64_t bytes) = 0;
  // The file ends after `bytes` bytes; the room behind them is free again.
  virtual Status shorten(const std::string& name, uint64_t bytes) = 0;
  virtual Status write(const std::string& name, uint64_t offset, std::string_view bytes) = 0;
  virtual Status sync(const std::string& name) = 0;  // what was written survives loss of power
  virtual Status sync_folder() = 0;                  // and so do names of new files
  virtual Status unlink(const std::string& name) = 0;
};

}  // namespace trireme::journal
