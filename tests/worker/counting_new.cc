#include "tests/worker/counting_new.h"

#include <malloc.h>

#include <atomic>
#include <cstdlib>
#include <new>

namespace {

std::atomic<int64_t> allocations{0};
std::atomic<int64_t> live_bytes{0};

void* count_and_allocate(std::size_t bytes, std::size_t alignment) {
  allocations.fetch_add(1, std::memory_order_relaxed);
  const std::size_t rounded = (bytes + alignment - 1) / alignment * alignment;
  if (void* memory = std::aligned_alloc(alignment, rounded > 0 ? rounded : alignment)) {
    live_bytes.fetch_add(static_cast<int64_t>(malloc_usable_size(memory)),
                         std::memory_order_relaxed);
    return memory;
  }
  throw std::bad_alloc();
}

void count_and_free(void* memory) {
  if (memory == nullptr) return;
  live_bytes.fetch_sub(static_cast<int64_t>(malloc_usable_size(memory)), std::memory_order_relaxed);
  std::free(memory);
}

}  // namespace

namespace trireme {

int64_t counted_allocations() { return allocations.load(std::memory_order_relaxed); }
int64_t counted_live_bytes() { return live_bytes.load(std::memory_order_relaxed); }

}  // namespace trireme

// Sanitizers replace the array and nothrow forms by ones that do not call the plain forms.
void* operator new[](std::size_t bytes) { return count_and_allocate(bytes, 16); }
void* operator new(std::size_t bytes, const std::nothrow_t&) noexcept {
  return count_and_allocate(bytes, 16);
}
void operator delete[](void* memory) noexcept { count_and_free(memory); }
void operator delete[](void* memory, std::size_t) noexcept { count_and_free(memory); }
void operator delete(void* memory, const std::nothrow_t&) noexcept { count_and_free(memory); }
void* operator new(std::size_t bytes) { return count_and_allocate(bytes, 16); }
void* operator new(std::size_t bytes, std::align_val_t alignment) {
  return count_and_allocate(bytes, static_cast<std::size_t>(alignment));
}
void operator delete(void* memory) noexcept { count_and_free(memory); }
void operator delete(void* memory, std::size_t) noexcept { count_and_free(memory); }
void operator delete(void* memory, std::align_val_t) noexcept { count_and_free(memory); }
void operator delete(void* memory, std::size_t, std::align_val_t) noexcept {
  count_and_free(memory);
}
