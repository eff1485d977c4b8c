// The emulation's seeded choices.
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>

#include "base/split_mix.h"

namespace trireme::emulation {

class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed) {}

  uint64_t next() { return split_mix64(state_); }
  // Uniform in 0 .. n - 1; n < 2^32.
  size_t below(size_t n) { return static_cast<size_t>(((next() >> 32) * n) >> 32); }

  template <class Items>
  void shuffle(Items& items, size_t count) {
    for (size_t i = count; i > 1; --i) std::swap(items[i - 1], items[below(i)]);
  }

 private:
  uint64_t state_;
};

}  // namespace trireme::emulation
