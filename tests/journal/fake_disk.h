// A disk with a page cache and an image that survives a loss of power: writes may be torn, tails
// and names lost, bits flipped, the disk full or failing. One thread.
#pragma once

#include <cstdint>
#include <map>
#include <random>
#include <string>
#include <vector>

#include "coordinator/journal/disk.h"

namespace trireme::journal {

class FakeDisk final : public Disk {
 public:
  // Faults, until they are taken back.
  uint64_t capacity = UINT64_MAX;  // bytes of all files
  bool fails_writes = false;       // write, sync and reserve
  // The write with this number (the first is 0) is torn: of its bytes only so many arrive, and the
  // process dies with it.
  uint64_t torn_write = UINT64_MAX;
  uint64_t torn_bytes = 0;

  StatusOr<std::vector<DiskFile>> list() override;
  StatusOr<std::string> read(const std::string& name, uint64_t offset, uint64_t bytes) override;
  Status reserve(const std::string& name, uint64_t bytes) override;
  Status shorten(const std::string& name, uint64_t bytes) override;
  Status write(const std::string& name, uint64_t offset, std::string_view bytes) override;
  Status sync(const std::string& name) override;
  Status sync_folder() override;
  Status unlink(const std::string& name) override;

  bool is_dead() const { return is_dead_; }
  uint64_t num_writes() const { return num_writes_; }

  // The process dies; the page cache stays.
  void kill() { is_dead_ = false; }
  // The power fails: of what was not synced, any sectors and names may be lost.
  void lose_power(std::mt19937_64& random);
  void flip_bit(const std::string& name, uint64_t bit);
  std::string& content(const std::string& name) { return files_.at(name).cache; }
  bool contains(const std::string& name) const { return files_.contains(name); }

 private:
  struct File {
    std::string cache;
    std::string synced;
    bool has_name = false;  // it survives a loss of power
  };

  uint64_t used() const;

  std::map<std::string, File> files_;
  std::map<std::string, File> unlinked_;  // since the folder was synced
  uint64_t num_writes_ = 0;
  bool is_dead_ = false;
};

}  // namespace trireme::journal
