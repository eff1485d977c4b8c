// The order of a row's ids as one integer, the *rank*: the greater rank has the greater value or,
// among equals, the lower id. Thresholds, draws and top lists are maxima of ranks, so ties are
// never decided by timing. Rank 0 is no id.
#pragma once

#include <bit>
#include <cstdint>

namespace trireme::cuda {

constexpr int32_t kIdBits = 21;  // 11 + 10 bits: two digits of a selection; 2,097,152 ids
constexpr uint64_t kIdMask = (uint64_t{1} << kIdBits) - 1;
constexpr int32_t kRankBits = 32 + kIdBits;

// Maps floats to unsigned keys of the same order; -0 counts as 0.
constexpr uint32_t order_key(float value) {
  const uint32_t bits = std::bit_cast<uint32_t>(value + 0.0f);
  return (bits & 0x80000000u) != 0 ? ~bits : bits | 0x80000000u;
}
constexpr float value_of_key(uint32_t key) {
  return std::bit_cast<float>((key & 0x80000000u) != 0 ? key & 0x7fffffffu : ~key);
}

// 0 for NaN.
constexpr uint64_t rank_of(float value, int32_t id) {
  if (value != value) return 0;
  return static_cast<uint64_t>(order_key(value)) << kIdBits | (kIdMask - static_cast<uint64_t>(id));
}
constexpr int32_t id_of_rank(uint64_t rank) {
  return static_cast<int32_t>(kIdMask - (rank & kIdMask));
}
constexpr float value_of_rank(uint64_t rank) {
  return value_of_key(static_cast<uint32_t>(rank >> kIdBits));
}

}  // namespace trireme::cuda
