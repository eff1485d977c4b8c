// Copies bytes by the widest unit that the alignment of both ends allows. Device code only.
#pragma once

#include <cstddef>

#include "kernels/cuda/arch.h"

namespace trireme::cuda {

// The readers of the copy: kernels of this rank only, or other ranks and the host too.
enum class Readers : uint8_t { kOwn, kPeers };

// The share of one thread: `index` of `count`.
struct CopyShare {
  int64_t index = 0;
  int64_t count = 1;
};

template <Readers readers, class Unit>
__device__ __forceinline__ int64_t
copy_units(std::byte* to, const std::byte* from, int64_t bytes, CopyShare share) {
  constexpr int64_t kBytes = sizeof(Unit);
  const int64_t units = bytes / kBytes;
#pragma unroll 4
  for (int64_t i = share.index; i < units; i += share.count) {
    const Unit unit = from == nullptr ? Unit{} : reinterpret_cast<const Unit*>(from)[i];
    if constexpr (readers == Readers::kPeers) {
      store_peer(reinterpret_cast<Unit*>(to) + i, unit);
    } else {
      reinterpret_cast<Unit*>(to)[i] = unit;
    }
  }
  return units * kBytes;
}

// to[0, bytes) = from[0, bytes), or zeros if there is no `from`.
template <Readers readers = Readers::kOwn>
__device__ __forceinline__ void copy_bytes(std::byte* to,
                                           const std::byte* from,
                                           int64_t bytes,
                                           CopyShare share) {
  const auto alignment = reinterpret_cast<uintptr_t>(to) | reinterpret_cast<uintptr_t>(from);
  int64_t done = 0;
  if (alignment % 16 == 0) {
    done = copy_units<readers, uint4>(to, from, bytes, share);
  } else if (alignment % 4 == 0) {
    done = copy_units<readers, uint32_t>(to, from, bytes, share);
  }
  const std::byte* rest = from == nullptr ? nullptr : from + done;
  copy_units<readers, std::byte>(to + done, rest, bytes - done, share);
}

}  // namespace trireme::cuda
