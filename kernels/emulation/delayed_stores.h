// The plain stores of a block to memory that other ranks or the host read (store_peer() of arch.h).
// Others see one when a release or the kernel's end says so, and perhaps before, as on a device.
// The block's own threads see it at once, through load_peer(). Used by the OS thread of the device.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "kernels/emulation/random.h"

namespace trireme::emulation {

class DelayedStores {
 public:
  static constexpr size_t kMostBytes = 16;  // of a store, aligned to its size

  void add(void* to, const void* value, size_t bytes, int thread, Random& random);
  // What the block sees at `from`.
  void read(const void* from, void* value, size_t bytes) const;
  // All threads of the block have met: what they stored comes before any of their releases.
  void order();
  // A release of `thread`: what comes before it is seen by all, each store at a time of its own.
  void release(int thread, Random& random);
  void release_all(Random& random);
  // Takes over the stores of a block that has ended.
  void take(DelayedStores& other);

 private:
  struct Store {
    std::byte* to;
    size_t bytes;
    std::array<std::byte, kMostBytes> value;
    int thread;
    bool is_ordered;  // before a barrier of the block
  };

  void arrive(size_t index);
  void make_room_for(const Store& store);

  std::vector<Store> stores_;
};

}  // namespace trireme::emulation
