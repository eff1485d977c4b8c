// Shared memory of a block, the pending copies into it, and its stores that others read.
#include <sys/mman.h>

#include <algorithm>
#include <cstring>

#include "base/check.h"
#include "kernels/emulation/block.h"

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#endif

namespace trireme::emulation {
namespace {

constexpr size_t kRegionBytes = 256 * 1024;  // more than the maximum of a block
constexpr size_t kPageBytes = 4096;
constexpr size_t kSharedAlignment = 1024;
constexpr int kPoison = 0xff;  // NaN in every float type
constexpr int kGuard = 0xa5;

}  // namespace

// The memory ends as close to the inaccessible page as its alignment allows; the gap holds a
// pattern that is checked when the block ends.
void Block::prepare_shared() {
  if (shared_region_ == nullptr) {
    void* region = mmap(nullptr,
                        kRegionBytes + kPageBytes,
                        PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS,
                        -1,
                        0);
    CHECK(region != MAP_FAILED);
    shared_region_ = static_cast<std::byte*>(region);
    CHECK(mprotect(shared_region_ + kRegionBytes, kPageBytes, PROT_NONE) == 0);
  }
  const size_t bytes = kernel_->shared_bytes;
  const size_t padded = (bytes + kSharedAlignment - 1) / kSharedAlignment * kSharedAlignment;
  std::byte* end = shared_region_ + kRegionBytes;
  shared_ = end - padded;
#ifdef __SANITIZE_ADDRESS__
  ASAN_UNPOISON_MEMORY_REGION(shared_region_, kRegionBytes);
#endif
  std::memset(shared_, kPoison, bytes);
  std::memset(shared_ + bytes, kGuard, padded - bytes);
  std::memset(shared_ - kSharedAlignment, kGuard, kSharedAlignment);
#ifdef __SANITIZE_ADDRESS__
  ASAN_POISON_MEMORY_REGION(shared_ + bytes, padded - bytes);
  ASAN_POISON_MEMORY_REGION(shared_region_, kRegionBytes - padded);
#endif
}

void Block::check_shared() const {
  const size_t bytes = kernel_->shared_bytes;
  std::byte* const end = shared_region_ + kRegionBytes;
#ifdef __SANITIZE_ADDRESS__
  ASAN_UNPOISON_MEMORY_REGION(shared_region_, kRegionBytes);
#endif
  const auto is_guard = [](std::byte byte) { return byte == std::byte{kGuard}; };
  if (!std::all_of(shared_ + bytes, end, is_guard)) fail("wrote past the end of shared memory");
  if (!std::all_of(shared_ - kSharedAlignment, shared_, is_guard))
    fail("wrote before shared memory");
}

void Block::release_shared() {
  if (shared_region_ != nullptr) munmap(shared_region_, kRegionBytes + kPageBytes);
}

std::byte* Block::shared_memory(size_t bytes) const {
  if (bytes > kernel_->shared_bytes) {
    fail("takes " + std::to_string(bytes) + " bytes of shared memory, launched with " +
         std::to_string(kernel_->shared_bytes));
  }
  return shared_;
}

bool Block::is_shared(const void* pointer, size_t bytes) const {
  const auto* at = static_cast<const std::byte*>(pointer);
  return at >= shared_ && at + bytes <= shared_ + kernel_->shared_bytes;
}

void Block::start_copy(const AsyncCopy& copy) {
  if (!is_shared(copy.to, 16)) fail("copy_async_16: the target is not shared memory");
  const auto misaligned = [](const void* pointer) {
    return reinterpret_cast<uintptr_t>(pointer) % 16 != 0;
  };
  if (misaligned(copy.to)) fail("copy_async_16: the target is not aligned to 16 bytes");
  if (misaligned(copy.from)) fail("copy_async_16: the source is not aligned to 16 bytes");
  if (copy.source_bytes < 0 || copy.source_bytes > 16) fail("copy_async_16: 0 to 16 source bytes");
  std::memset(copy.to, kPoison, 16);
  current_thread->copies.push_back(copy);
}

void Block::end_copy_group() {
  current_thread->copy_groups.push_back(current_thread->copies.size());
}

void Block::finish_copies(int pending_groups) {
  Thread& self = *current_thread;
  const size_t num_groups = self.copy_groups.size();
  if (num_groups <= static_cast<size_t>(pending_groups)) return;
  const size_t finished = num_groups - static_cast<size_t>(pending_groups);
  const size_t count = self.copy_groups[finished - 1];
  random_.shuffle(self.copies, count);
  for (size_t i = 0; i < count; ++i) {
    const AsyncCopy& copy = self.copies[i];
    std::byte arrived[16] = {};
    std::memcpy(arrived, copy.from, static_cast<size_t>(copy.source_bytes));
    std::memcpy(copy.to, arrived, 16);
  }
  self.copies.erase(self.copies.begin(), self.copies.begin() + static_cast<ptrdiff_t>(count));
  self.copy_groups.erase(self.copy_groups.begin(),
                         self.copy_groups.begin() + static_cast<ptrdiff_t>(finished));
  for (size_t& end : self.copy_groups) end -= count;
}

void Block::store_delayed(void* to, const void* value, size_t bytes, Scope scope) {
  if (reinterpret_cast<uintptr_t>(to) % bytes != 0) {
    fail(std::string(scope == Scope::kSystem ? "store_peer" : "store_grid") +
         ": the address is not aligned");
  }
  if (is_shared(to, bytes)) {  // no other block reads it
    std::memcpy(to, value, bytes);
    return;
  }
  released_stores_->make_room_for(to, bytes);
  delayed_stores_.add(to, value, bytes, scope, current_thread->linear, random_);
}

void Block::load_peer(const void* from, void* value, size_t bytes) const {
  if (reinterpret_cast<uintptr_t>(from) % bytes != 0) fail("load_peer: the address is not aligned");
  delayed_stores_.read(from, value, bytes);
}

void Block::release_stores(Scope scope) {
  delayed_stores_.release(current_thread->linear, scope, random_, *released_stores_);
}

void Block::acquire_stores() { released_stores_->arrive_all(random_); }

}  // namespace trireme::emulation
