#include "kernels/cpu/cpu_memory.h"

#include <sys/mman.h>

#include <algorithm>
#include <limits>
#include <string>

#include "base/host_info.h"
#include "base/text.h"

namespace trireme {

namespace {

constexpr int64_t kHugePage = 2 << 20;

int64_t mapped_bytes(int64_t bytes) {
  return (std::max<int64_t>(bytes, 1) + kHugePage - 1) / kHugePage * kHugePage;
}

void unmap(std::byte* data, int64_t bytes) { ::munmap(data, mapped_bytes(bytes)); }

}  // namespace

StatusOr<Buffer> allocate_memory(int64_t bytes, const std::string& what) {
  if (bytes > available_memory()) {
    return exhausted(
        "TRI-MEM-001",
        "{} needs {}, available are {}; use more ranks, or lower --kv-memory or --max-num-seqs",
        what,
        format_bytes(static_cast<double>(bytes)),
        format_bytes(static_cast<double>(available_memory())));
  }
  const int64_t size = mapped_bytes(bytes);
  // One huge page more than needed, so that an aligned part fits.
  void* raw = ::mmap(nullptr,
                     size + kHugePage,
                     PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
                     -1,
                     0);
  if (raw == MAP_FAILED) {
    return exhausted(
        "TRI-MEM-001",
        "{} needs {}, which the system refuses; lower --kv-memory or raise the limit (ulimit -v)",
        what,
        format_bytes(static_cast<double>(bytes)));
  }
  auto* begin = static_cast<std::byte*>(raw);
  const auto misaligned = reinterpret_cast<uintptr_t>(begin) % kHugePage;
  const int64_t head = misaligned == 0 ? 0 : kHugePage - static_cast<int64_t>(misaligned);
  if (head > 0) ::munmap(begin, head);
  if (kHugePage - head > 0) ::munmap(begin + head + size, kHugePage - head);
  ::madvise(begin + head, size, MADV_HUGEPAGE);
  return Buffer(begin + head, bytes, unmap);
}

Status HostReservedMemory::fill(int64_t bytes) {
  ASSIGN_OR_RETURN(memory_, allocate_memory(bytes, what_));
  return ok_status();
}

int64_t available_memory() {
  const int64_t bytes = usable_memory_bytes();
  return bytes < 0 ? std::numeric_limits<int64_t>::max() : bytes;
}

}  // namespace trireme
