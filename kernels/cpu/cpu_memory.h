// Anonymous memory on huge pages where the system gives them (23% of the read rate, cpu-kernels).
#pragma once

#include <cstdint>
#include <string>
#include <utility>

#include "base/status.h"
#include "kernels/buffer.h"
#include "kernels/reserved_memory.h"

namespace trireme {

// Zeroed, 2-MiB aligned. TRI-MEM-001 names `what`, the bytes asked for and what is available.
StatusOr<Buffer> allocate_memory(int64_t bytes, const std::string& what);

// usable_memory_bytes(), or no limit where that is unknown.
int64_t available_memory();

// Has its addresses once it has its memory.
class HostReservedMemory final : public ReservedMemory {
 public:
  explicit HostReservedMemory(std::string what) : what_(std::move(what)) {}

  std::byte* data() const override { return memory_.data(); }
  int64_t unit() const override { return 1; }
  Status fill(int64_t bytes) override;

 private:
  const std::string what_;
  Buffer memory_;
};

}  // namespace trireme
