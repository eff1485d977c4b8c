#include "kernels/cpu/cpu_memory.h"

#include <sys/mman.h>

#include <algorithm>
#include <fstream>
#include <limits>
#include <string>

#include "base/text.h"

namespace trireme {

namespace {

constexpr int64_t kHugePage = 2 << 20;

int64_t mapped_bytes(int64_t bytes) {
  return (std::max<int64_t>(bytes, 1) + kHugePage - 1) / kHugePage * kHugePage;
}

void unmap(std::byte* data, int64_t bytes) { ::munmap(data, mapped_bytes(bytes)); }

// A number in a one-line file ("max" and absence are "no limit").
int64_t read_limit(const char* path) {
  std::ifstream file(path);
  int64_t value = 0;
  return file >> value ? value : std::numeric_limits<int64_t>::max();
}

}  // namespace

StatusOr<Buffer> allocate_memory(int64_t bytes, const std::string& what) {
  if (bytes > available_memory()) {
    return exhausted("TRI-MEM-001",
                     what,
                     " needs ",
                     format_bytes(static_cast<double>(bytes)),
                     ", available are ",
                     format_bytes(static_cast<double>(available_memory())),
                     "; use more ranks, or lower --kv-memory or --max-num-seqs");
  }
  const int64_t size = mapped_bytes(bytes);
  // One huge page more, so that an aligned part can be cut out.
  void* raw = ::mmap(nullptr,
                     size + kHugePage,
                     PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
                     -1,
                     0);
  if (raw == MAP_FAILED) {
    return exhausted(
        "TRI-MEM-001",
        what,
        " needs ",
        format_bytes(static_cast<double>(bytes)),
        ", which the system refuses; lower --kv-memory or raise the limit (ulimit -v)");
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
  int64_t available = std::numeric_limits<int64_t>::max();
  std::ifstream meminfo("/proc/meminfo");
  std::string name, unit;
  int64_t kibibytes = 0;
  while (meminfo >> name >> kibibytes) {
    if (name == "MemAvailable:") available = kibibytes * 1024;
    std::getline(meminfo, unit);
  }
  const int64_t limit = read_limit("/sys/fs/cgroup/memory.max");
  const int64_t used = read_limit("/sys/fs/cgroup/memory.current");
  if (limit != std::numeric_limits<int64_t>::max() && used != limit) {
    available = std::min(available, std::max<int64_t>(0, limit - used));
  }
  return available;
}

}  // namespace trireme
