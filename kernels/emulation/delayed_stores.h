// The plain stores of a block to memory that other ranks or the host read (store_peer() of arch.h).
// Others see a store at a release or at the end of the kernel at the latest, and perhaps before, as
// on a device. The block's own threads see it at once, through load_peer(). Used by the OS thread
// of the device.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "kernels/emulation/random.h"

namespace trireme::emulation {

class DelayedStores {
 public:
  static constexpr size_t kMaxBytes = 16;  // per store, aligned to its size

  void add(void* to, const void* value, size_t bytes, int thread, Random& random);
  // Reads the value that the block sees at `from`.
  void read(const void* from, void* value, size_t bytes) const;
  // All threads of the block have met: their stores precede any of their later releases.
  void order();
  // A release of `thread`: makes all earlier stores visible, each at a random point before it.
  void release(int thread, Random& random);
  void release_all(Random& random);
  // Takes over the pending stores of an ended block.
  void take(DelayedStores& other);

 private:
  struct Store {
    std::byte* to;
    size_t bytes;
    std::array<std::byte, kMaxBytes> value;
    int thread;
    bool is_ordered;  // before a barrier of the block
  };

  void arrive(size_t index);
  void make_room_for(const Store& store);

  std::vector<Store> stores_;
};

}  // namespace trireme::emulation
