// Code shared by the two attention kernels besides arithmetic: their arguments, how a block takes
// its unit and loads q.
#pragma once

#include <cstdint>

#include "kernels/cuda/arch.h"
#include "kernels/cuda/attention/attention_plan.h"
#include "kernels/cuda/attention/attention_tile.h"
#include "kernels/cuda/last_block.h"

namespace trireme::cuda {

struct AttentionWork {
  PlanView plan;
  const int32_t* page_table;
  int32_t page_table_stride;
  int32_t group;
  int32_t num_kv_heads;
  int32_t head_dim;
  const uint16_t* q;
  int64_t q_stride;
  uint16_t* out;
  int64_t out_stride;
  const unsigned char* kv;  // of this layer, page 0 and head 0
  int64_t page_stride;
  int64_t head_stride;
  int64_t v_offset;
  float4* partials;        // O by row of a partial, kDim / 4 chunks of four columns each
  float2* partial_sums;    // m and l by row of a partial
  float4* runs;            // null: prefill blocks keep their runs in shared memory
  int32_t has_short_ring;  // of decode blocks
  ScoreRule rule;
  int32_t is_invariant;
};

// The unit of a block, in shared memory.
struct Unit : PlannedUnit {
  const int32_t* pages;     // the slot's row of the page table
  const unsigned char* kv;  // page 0 of this head
};

// Reads unit `index` into shared memory, where it takes no registers. Called by the whole block,
// once no thread reads the previous unit any more.
__device__ __forceinline__ void take_unit(const AttentionWork& work,
                                          AttentionKernel kernel,
                                          int32_t index,
                                          Unit& to) {
  constexpr int32_t kParts = sizeof(PlannedUnit) / sizeof(uint4);
  if (threadIdx.x < kParts) {
    const PlannedUnit* from = work.plan.unit(kernel, index);
    const uint4 part = reinterpret_cast<const uint4*>(from)[threadIdx.x];
    reinterpret_cast<uint4*>(static_cast<PlannedUnit*>(&to))[threadIdx.x] = part;
    if (threadIdx.x == 0) {
      const auto head = static_cast<int32_t>(part.x), slot = static_cast<int32_t>(part.y);
      to.kv = work.kv + head * work.head_stride;
      to.pages = work.page_table + int64_t{slot} * work.page_table_stride;
    }
  }
  __syncthreads();
}

// Reads the first unit of this block; false if there is none.
__device__ __forceinline__ bool take_first(const AttentionWork& work,
                                           AttentionKernel kernel,
                                           Unit& to) {
  take_unit(work, kernel, static_cast<int32_t>(blockIdx.x), to);
  return to.num_rows > 0;
}

// Reads the next unit of this block; false if there is none. `word` is in shared memory. Called by
// the whole block; shared memory may be overwritten afterwards.
__device__ __forceinline__ bool take_next(const AttentionWork& work,
                                          AttentionKernel kernel,
                                          int32_t* word,
                                          Unit& unit) {
  const int32_t units = unit.units;
  if (units <= static_cast<int32_t>(gridDim.x)) return false;
  __syncthreads();
  if (threadIdx.x == 0) {
    PlanHeader* header = work.plan.header;
    *word = static_cast<int32_t>(gridDim.x + atomicAdd(&header->tickets[kernel], 1u));
    if (*word >= units && atomicAdd(&header->finished[kernel], 1u) == gridDim.x - 1) {
      header->tickets[kernel] = 0;
      header->finished[kernel] = 0;
    }
  }
  __syncthreads();
  if (*word >= units) return false;
  take_unit(work, kernel, *word, unit);
  return true;
}

// Where a row of a tile lies in q and in the output: the row of the batch and the first column of
// its head.
struct RowPlace {
  int32_t token;
  int32_t column;
};

// Writes place and position of each row of a tile of kRows rows to shared memory, so that the only
// division by the group is here, one per row; rows past the end count as the last row. Called by
// the whole block.
template <int kRows>
__device__ __forceinline__ void place_rows(const AttentionWork& work,
                                           const Unit& unit,
                                           RowPlace* places,
                                           int32_t* positions) {
  static_assert(kRows <= kAttentionThreads);
  const auto row = static_cast<int32_t>(threadIdx.x);
  if (row >= kRows) return;
  const int32_t packed = unit.first_row + (row < unit.num_rows ? row : unit.num_rows - 1);
  const int32_t token = packed / work.group;
  const int32_t head = unit.head * work.group + packed - token * work.group;
  places[row] = {unit.first_token + token, head * work.head_dim};
  positions[row] = unit.base_position + token;
}

// Eight elements of a row of q, zero from head_dim on. A head whose width is not a multiple of
// eight is only 4-byte aligned.
__device__ __forceinline__ uint4 load_narrow_chunk(const uint16_t* head,
                                                   int32_t column,
                                                   int32_t head_dim) {
  uint4 chunk = {0, 0, 0, 0};
  const auto* words = reinterpret_cast<const uint32_t*>(head + column);
  if (column < head_dim) chunk.x = words[0];
  if (column + 2 < head_dim) chunk.y = words[1];
  if (column + 4 < head_dim) chunk.z = words[2];
  if (column + 6 < head_dim) chunk.w = words[3];
  return chunk;
}

// Starts to load the unit's rows of q into a tile of kRows rows, zero past the end; the copies
// belong to the caller's group. Called by the whole block after a barrier behind place_rows().
template <int kDim, int kRows>
__device__ __forceinline__ void load_queries(const AttentionWork& work,
                                             const Unit& unit,
                                             const RowPlace* places,
                                             unsigned char* queries) {
  constexpr int32_t kRowChunks = kDim / 8;
  const bool is_aligned = work.head_dim % 8 == 0;
#pragma unroll 4
  for (int32_t i = threadIdx.x; i < kRows * kRowChunks; i += kAttentionThreads) {
    const int32_t row = i / kRowChunks, column = i % kRowChunks * 8;
    const RowPlace place = places[row];
    const uint16_t* head = work.q + place.token * work.q_stride + place.column;
    unsigned char* to = queries + tile_offset<kDim, kRows>(row, i % kRowChunks);
    const bool is_real = row < unit.num_rows && column < work.head_dim;
    if (is_aligned) {
      copy_async_16(to, head + (is_real ? column : 0), is_real ? 16 : 0);
    } else {
      uint4 chunk = {0, 0, 0, 0};
      if (is_real) chunk = load_narrow_chunk(head, column, work.head_dim);
      *reinterpret_cast<uint4*>(to) = chunk;
    }
  }
}

// Where column 0 of the head of a row lies in the output.
__device__ __forceinline__ uint16_t* output_of(const AttentionWork& work, const RowPlace& place) {
  return work.out + place.token * work.out_stride + place.column;
}

// The factor that turns O into the output: 1 / l, or 0 for a row that has seen nothing. Rounded to
// nearest, without the call of the operator's subroutine for subnormal numbers: a row's largest
// weight is 1, so l is none.
__device__ __forceinline__ float inverse_or_zero(float sum) {
  const float near = __fdividef(1.0f, sum);
  return sum > 0.0f ? fmaf(near, fmaf(-sum, near, 1.0f), near) : 0.0f;
}

// Whether this block is the last of the tile's splits to arrive (last_block.h).
__device__ __forceinline__ bool arrives_last(const AttentionWork& work,
                                             const Unit& unit,
                                             int32_t* word) {
  return arrives_last(work.plan.counters + unit.counter, unit.splits, word);
}

}  // namespace trireme::cuda
