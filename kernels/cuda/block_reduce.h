// Reductions over the 256 threads of a sampling block, in a fixed order. Device code only.
#pragma once

#include "kernels/cuda/arch.h"

namespace trireme::cuda {

constexpr int32_t kSampleThreads = 256;
constexpr int32_t kSampleWarps = kSampleThreads / 32;

__device__ __forceinline__ uint64_t warp_max(uint64_t value) {
#pragma unroll
  for (int step = 16; step > 0; step /= 2) {
    const uint64_t other = __shfl_xor_sync(0xffffffffu, value, step);
    value = other > value ? other : value;
  }
  return value;
}

// The maximum over the block, in every thread. `warps` may be reused after the second barrier that
// follows.
__device__ __forceinline__ uint64_t block_max(uint64_t value, uint64_t (&warps)[kSampleWarps]) {
  value = warp_max(value);
  if (threadIdx.x % 32 == 0) warps[threadIdx.x / 32] = value;
  __syncthreads();
  uint64_t maximum = warps[0];
#pragma unroll
  for (int warp = 1; warp < kSampleWarps; ++warp) {
    maximum = warps[warp] > maximum ? warps[warp] : maximum;
  }
  return maximum;
}

// The sum over the block: lanes by an xor tree, warps ascending.
__device__ __forceinline__ float block_sum(float value, float (&warps)[kSampleWarps]) {
#pragma unroll
  for (int step = 16; step > 0; step /= 2) value += __shfl_xor_sync(0xffffffffu, value, step);
  if (threadIdx.x % 32 == 0) warps[threadIdx.x / 32] = value;
  __syncthreads();
  float total = warps[0];
#pragma unroll
  for (int warp = 1; warp < kSampleWarps; ++warp) total += warps[warp];
  return total;
}

}  // namespace trireme::cuda
