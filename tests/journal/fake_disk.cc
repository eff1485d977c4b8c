#include "tests/journal/fake_disk.h"

#include <algorithm>
#include <utility>

namespace trireme::journal {

namespace {

constexpr uint64_t kSectorBytes = 512;

Status failing() { return unavailable("TRI-JRN-005", "the fake disk fails"); }
Status full() { return exhausted("TRI-JRN-004", "the fake disk is full"); }

}  // namespace

uint64_t FakeDisk::used() const {
  uint64_t sum = 0;
  for (const auto& [name, file] : files_) sum += file.cache.size();
  return sum;
}

StatusOr<std::vector<DiskFile>> FakeDisk::list() {
  std::vector<DiskFile> files;
  for (const auto& [name, file] : files_) files.push_back({name, file.cache.size()});
  return files;
}

StatusOr<std::string> FakeDisk::read(const std::string& name, uint64_t offset, uint64_t bytes) {
  const auto found = files_.find(name);
  if (found == files_.end()) return failing();
  const std::string& cache = found->second.cache;
  return offset < cache.size() ? cache.substr(offset, bytes) : std::string();
}

Status FakeDisk::reserve(const std::string& name, uint64_t bytes) {
  if (is_dead_ || fails_writes) return failing();
  const uint64_t size = files_.contains(name) ? files_[name].cache.size() : 0;
  if (bytes > size && used() + bytes - size > capacity) return full();
  std::string& cache = files_[name].cache;
  cache.resize(std::max<uint64_t>(cache.size(), bytes), '\0');
  return ok_status();
}

Status FakeDisk::shorten(const std::string& name, uint64_t bytes) {
  if (is_dead_ || fails_writes) return failing();
  files_.at(name).cache.resize(bytes);
  return ok_status();
}

Status FakeDisk::write(const std::string& name, uint64_t offset, std::string_view bytes) {
  if (is_dead_ || fails_writes) return failing();
  std::string& cache = files_.at(name).cache;
  if (num_writes_++ == torn_write) {
    is_dead_ = true;
    bytes = bytes.substr(0, std::min<uint64_t>(torn_bytes, bytes.size()));
  }
  if (offset + bytes.size() > cache.size()) {
    if (used() + offset + bytes.size() - cache.size() > capacity) return full();
    cache.resize(offset + bytes.size(), '\0');
  }
  cache.replace(offset, bytes.size(), bytes);
  return is_dead_ ? failing() : ok_status();
}

Status FakeDisk::sync(const std::string& name) {
  if (is_dead_ || fails_writes) return failing();
  files_.at(name).synced = files_.at(name).cache;
  return ok_status();
}

Status FakeDisk::sync_folder() {
  if (is_dead_ || fails_writes) return failing();
  for (auto& [name, file] : files_) file.has_name = true;
  unlinked_.clear();
  return ok_status();
}

Status FakeDisk::unlink(const std::string& name) {
  if (is_dead_) return failing();
  const auto found = files_.find(name);
  if (found == files_.end()) return ok_status();
  unlinked_[name] = std::move(found->second);
  files_.erase(found);
  return ok_status();
}

void FakeDisk::lose_power(std::mt19937_64& random) {
  for (auto& [name, file] : unlinked_) {
    if (file.has_name && random() % 2 == 0) files_.emplace(name, std::move(file));
  }
  unlinked_.clear();
  std::erase_if(files_,
                [&](const auto& entry) { return !entry.second.has_name && random() % 2 == 0; });
  for (auto& [name, file] : files_) {
    file.synced.resize(file.cache.size(), '\0');
    for (uint64_t at = 0; at < file.cache.size(); at += kSectorBytes) {
      if (random() % 2 == 0) continue;
      const uint64_t bytes = std::min<uint64_t>(kSectorBytes, file.cache.size() - at);
      file.cache.replace(at, bytes, file.synced, at, bytes);
    }
    file.synced = file.cache;
    file.has_name = true;
  }
  is_dead_ = false;
}

void FakeDisk::flip_bit(const std::string& name, uint64_t bit) {
  std::string& cache = files_.at(name).cache;
  cache[bit / 8] = static_cast<char>(cache[bit / 8] ^ (1 << (bit % 8)));
}

}  // namespace trireme::journal
