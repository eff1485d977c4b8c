// The files of a journal in a folder of this machine. One thread at a time.
#pragma once

#include <unistd.h>

#include <memory>
#include <string>
#include <vector>

#include "base/status.h"
#include "coordinator/journal/disk.h"

namespace trireme::journal {

class PosixDisk final : public Disk {
 public:
  // The folder must exist. TRI-JRN-005.
  static StatusOr<std::unique_ptr<PosixDisk>> open(const std::string& folder);
  ~PosixDisk() override;
  PosixDisk(const PosixDisk&) = delete;
  PosixDisk& operator=(const PosixDisk&) = delete;

  StatusOr<std::vector<DiskFile>> list() override;
  StatusOr<std::string> read(const std::string& name, uint64_t offset, uint64_t bytes) override;
  Status reserve(const std::string& name, uint64_t bytes) override;
  Status shorten(const std::string& name, uint64_t bytes) override;
  Status write(const std::string& name, uint64_t offset, std::string_view bytes) override;
  Status sync(const std::string& name) override;
  Status sync_folder() override;
  Status unlink(const std::string& name) override;

 private:
  PosixDisk(std::string folder, int folder_fd);
  // The descriptor of a file for writing; the last one is kept. -1: see errno.
  int writer(const std::string& name);
  void close_writer();
  Status failed(const char* what, const std::string& name, int error) const;

  const std::string folder_;
  const int folder_fd_;
  std::string writer_name_;
  int writer_fd_ = -1;
};

}  // namespace trireme::journal
