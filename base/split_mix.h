// SplitMix64, the generator of Steele, Lea and Flood ("Fast splittable pseudorandom number
// generators", OOPSLA 2014), for choices that only have to differ and to repeat with their seed.
#pragma once

#include <cstdint>

namespace trireme {

// Advances `state`, which begins as the seed, and returns the next 64 random bits.
constexpr uint64_t split_mix64(uint64_t& state) {
  uint64_t z = state += 0x9E3779B97F4A7C15;
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
  return z ^ (z >> 31);
}

}  // namespace trireme
