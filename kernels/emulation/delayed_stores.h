// The plain stores of a block to memory that other ranks or the host read (store_peer() of arch.h),
// or that other blocks of its launch read (store_grid()). Peers see a store at a release of their
// scope or at the end of the kernel at the latest, and perhaps before, as on a device. Other blocks
// see it once it has been released and one of them has acquired. The block's own threads see a
// store for peers at once, through load_peer(). Used by the OS thread of the device.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "kernels/emulation/random.h"

namespace trireme::emulation {

// The readers of a store, and of a release: blocks of this launch, or peers and the host as well.
enum class Scope : uint8_t { kDevice, kSystem };

class DelayedStores {
 public:
  static constexpr size_t kMaxBytes = 16;  // per store, aligned to its size

  // `thread` stores `value` for readers of `scope`.
  void add(void* to, const void* value, size_t bytes, Scope scope, int thread, Random& random);
  // Stores to one address arrive in order: those that overlap a new store arrive now.
  void make_room_for(const void* to, size_t bytes);
  // Reads the value that the block sees at `from`.
  void read(const void* from, void* value, size_t bytes) const;
  // All threads of the block have met: their stores precede any of their later releases.
  void order();
  // A release of `thread` at `scope`, of all earlier stores whose readers it reaches: those for
  // peers become visible, each at a random point before it; those for blocks go to `released`,
  // where they wait for an acquire.
  void release(int thread, Scope scope, Random& random, DelayedStores& released);
  // Makes all stores visible in random order.
  void arrive_all(Random& random);
  // Takes over the pending stores of an ended block.
  void take(DelayedStores& other);

 private:
  struct Store {
    std::byte* to;
    size_t bytes;
    std::array<std::byte, kMaxBytes> value;
    Scope scope;
    int thread;
    bool is_ordered;  // before a barrier of the block
  };

  void arrive(size_t index);
  void remove(size_t index);

  std::vector<Store> stores_;
};

}  // namespace trireme::emulation
