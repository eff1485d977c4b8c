// Selection of a threshold in one row by one block: the rank (token_order.h) at which the weight of
// the ids, summed from the greatest rank down, first reaches a target. A weight is a count (top-k)
// or a mass (top-p).
//
// Radix selection from the most significant digit: 11, 11, 10, 11 and 10 bits. A digit's histogram
// is made in shared memory over the ranks that continue the prefix found so far; once the bucket
// found holds at most kListIds ranks, they are copied to a list and the row is not read again.
// Weights are integers, so sums are exact in any order.
#pragma once

#include <cstdint>

#include "kernels/cuda/arch.h"
#include "kernels/cuda/sampling/sampling_shape.h"
#include "kernels/cuda/sampling/token_order.h"
#include "kernels/draw.h"

namespace trireme::cuda {

constexpr int32_t kSelectThreads = 1024;
constexpr int32_t kListIds = 4096;  // in shared memory: 32 KiB
constexpr int32_t kMassBits = 41;
constexpr int32_t kLowBits = 21;  // sums of masses take two words: kCountIds low parts fit in 32
static_assert(kCountIds <= 1 << (32 - kLowBits) && kMassBits - kLowBits < kLowBits);
static_assert(kCountIds == 2 * kSelectThreads && kBuckets == 2 * kSelectThreads);

__device__ __forceinline__ uint64_t mass_of(float x, float maximum) {
  if (x == maximum) return uint64_t{1} << kMassBits;
  return static_cast<uint64_t>(expf(x - maximum) * static_cast<float>(uint64_t{1} << kMassBits));
}

struct SelectShared {
  uint64_t list[kListIds];  // ranks
  uint64_t weights[kBuckets];
  uint32_t counts[kBuckets];
  uint32_t low[kBuckets];
  uint32_t high[kBuckets];
  uint64_t warps[kSelectThreads / 32];
  uint64_t above;  // weight of the buckets above the one found
  uint32_t bucket;
  uint32_t list_size;
};

// The row in which a rank is selected; ranks below `threshold` do not count.
struct SelectRow {
  const float* x;
  int32_t width;
  float maximum;
  uint64_t threshold;
  __device__ __forceinline__ uint64_t rank(int32_t i) const {
    return x[i] > kNever ? rank_of(x[i], i) : 0;
  }
};

__device__ __forceinline__ uint64_t block_total(uint64_t value, SelectShared& shared) {
#pragma unroll
  for (int step = 16; step > 0; step /= 2) value += __shfl_xor_sync(0xffffffffu, value, step);
  if (threadIdx.x % 32 == 0) shared.warps[threadIdx.x / 32] = value;
  __syncthreads();
  uint64_t total = 0;
  for (int32_t warp = 0; warp < kSelectThreads / 32; ++warp) total += shared.warps[warp];
  __syncthreads();
  return total;
}

// Finds the bucket where the running weight, from the greatest bucket down, first reaches `target`;
// the weight of all buckets reaches it. Sets shared.bucket and shared.above. Thread t looks at
// buckets 2047 - 2t and the next lower one.
__device__ __forceinline__ void find_bucket(SelectShared& shared, uint64_t target) {
  const int32_t lane = static_cast<int32_t>(threadIdx.x % 32);
  const int32_t warp = static_cast<int32_t>(threadIdx.x / 32);
  const int32_t upper = kBuckets - 1 - 2 * static_cast<int32_t>(threadIdx.x);
  const uint64_t first = shared.weights[upper];
  const uint64_t both = first + shared.weights[upper - 1];
  uint64_t running = both;
#pragma unroll
  for (int step = 1; step < 32; step *= 2) {
    const uint64_t before = __shfl_up_sync(0xffffffffu, running, step);
    if (lane >= step) running += before;
  }
  if (lane == 31) shared.warps[warp] = running;
  __syncthreads();
  uint64_t above = running - both;
  for (int32_t i = 0; i < warp; ++i) above += shared.warps[i];
  if (above < target && above + both >= target) {
    const bool is_first = above + first >= target;
    shared.bucket = static_cast<uint32_t>(is_first ? upper : upper - 1);
    shared.above = is_first ? above : above + first;
  }
  __syncthreads();
}

struct Digit {
  int32_t shift;
  int32_t bits;
};

__device__ __forceinline__ Digit digit_of(int32_t index) {
  return index == 1   ? Digit{31, 11}
         : index == 2 ? Digit{21, 10}
         : index == 3 ? Digit{10, 11}
                      : Digit{0, 10};
}

// Copies the ranks whose bits above `shift` are `prefix` to the list, in any order.
__device__ __forceinline__ void make_list(const SelectRow& row,
                                          uint64_t prefix,
                                          int32_t shift,
                                          SelectShared& shared) {
  if (threadIdx.x == 0) shared.list_size = 0;
  __syncthreads();
#pragma unroll 4
  for (int32_t i = static_cast<int32_t>(threadIdx.x); i < row.width; i += kSelectThreads) {
    const uint64_t rank = row.rank(i);
    if (rank < row.threshold || rank == 0 || rank >> shift != prefix) continue;
    shared.list[atomicAdd(&shared.list_size, 1u)] = rank;
  }
  __syncthreads();
}

// Histogram of the next digit of the ranks that continue `prefix`, read from the list or the row.
template <bool kIsMass>
__device__ __forceinline__ void count_digit(
    const SelectRow& row, bool from_list, uint64_t prefix, Digit digit, SelectShared& shared) {
  const int32_t first = static_cast<int32_t>(threadIdx.x);
  for (int32_t i = first; i < kBuckets; i += kSelectThreads) {
    shared.counts[i] = shared.low[i] = shared.high[i] = 0;
    shared.weights[i] = 0;
  }
  __syncthreads();
  const int32_t size = from_list ? static_cast<int32_t>(shared.list_size) : row.width;
#pragma unroll 1
  for (int32_t begin = 0; begin < size; begin += kCountIds) {  // as many as 32-bit sums can hold
#pragma unroll
    for (int32_t part = 0; part < 2; ++part) {
      const int32_t i = begin + part * kSelectThreads + first;
      const uint64_t rank = i >= size ? 0 : from_list ? shared.list[i] : row.rank(i);
      if (rank < row.threshold || rank == 0 || rank >> (digit.shift + digit.bits) != prefix)
        continue;
      const auto bucket = static_cast<uint32_t>(rank >> digit.shift) & ((1u << digit.bits) - 1);
      atomicAdd(&shared.counts[bucket], 1u);
      if (!kIsMass) continue;
      const uint64_t mass = mass_of(value_of_rank(rank), row.maximum);
      atomicAdd(&shared.low[bucket], static_cast<uint32_t>(mass) & ((1u << kLowBits) - 1));
      atomicAdd(&shared.high[bucket], static_cast<uint32_t>(mass >> kLowBits));
    }
    __syncthreads();
    for (int32_t i = first; kIsMass && i < kBuckets; i += kSelectThreads) {
      shared.weights[i] += (static_cast<uint64_t>(shared.high[i]) << kLowBits) + shared.low[i];
      shared.low[i] = shared.high[i] = 0;
    }
    __syncthreads();
  }
  for (int32_t i = first; !kIsMass && i < kBuckets; i += kSelectThreads) {
    shared.weights[i] = shared.counts[i];
  }
  __syncthreads();
}

// The rank at which the running weight first reaches `target`. The counts and weights of the first
// digit are in shared memory.
template <bool kIsMass>
__device__ __forceinline__ uint64_t select_rank(const SelectRow& row,
                                                uint64_t target,
                                                SelectShared& shared) {
  find_bucket(shared, target);
  uint64_t prefix = shared.bucket;
  bool has_list = false;
#pragma unroll 1
  for (int32_t index = 1; index < 5; ++index) {
    const Digit digit = digit_of(index);
    target -= shared.above;
    if (!has_list && shared.counts[shared.bucket] <= kListIds) {
      make_list(row, prefix, digit.shift + digit.bits, shared);
      has_list = true;
    }
    __syncthreads();  // all threads have read the bucket found
    count_digit<kIsMass>(row, has_list, prefix, digit, shared);
    find_bucket(shared, target);
    prefix = prefix << digit.bits | shared.bucket;
  }
  __syncthreads();
  return prefix;
}

}  // namespace trireme::cuda
