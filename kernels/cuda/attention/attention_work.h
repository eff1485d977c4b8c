// Code shared by the two attention kernels besides arithmetic: their arguments, how a block finds
// its unit, loads q, folds partials and writes rows.
#pragma once

#include <cstdint>

#include "kernels/cuda/arch.h"
#include "kernels/cuda/attention/attention_plan.h"
#include "kernels/cuda/attention/attention_tile.h"
#include "kernels/cuda/last_block.h"

namespace trireme::cuda {

struct AttentionWork {
  PlanView plan;
  const int32_t* positions;
  const int32_t* slots;
  const int32_t* segment_starts;
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
  unsigned char* partials;
  float4* runs;            // null: prefill blocks keep their runs in shared memory
  int32_t has_short_ring;  // of decode blocks
  ScoreRule rule;
  int32_t is_invariant;
};

// One unit: rows [first_row, first_row + num_rows) of the packed rows of a segment and KV head, and
// pages [first_page, end_page).
struct Unit {
  SegmentShare share;
  int32_t head;
  int32_t split;
  int32_t tile;
  int32_t first_token;    // of the segment, as a row of the batch
  int32_t first_row;      // packed
  int32_t num_rows;       // packed, at most those of a tile
  int32_t base_position;  // of packed row 0
  int32_t context;        // tokens with K and V: up to the segment's last row
  int32_t first_page;
  int32_t end_page;
  const int32_t* pages;     // the slot's row of the page table
  const unsigned char* kv;  // page 0 of this head
};

// The first segment with ends[segment] > unit, by a 32-ary search: in each round the lanes of a
// warp look at 32 of the ends.
__device__ __forceinline__ int32_t find_segment(const int32_t* ends, int32_t count, int32_t unit) {
  const int32_t lane = threadIdx.x % 32;
  int32_t low = 0;
  while (count > 1) {
    const int32_t step = (count + 31) / 32;
    const int32_t last = (lane + 1) * step < count ? (lane + 1) * step - 1 : count - 1;
    const uint32_t behind = __ballot_sync(0xffffffffu, ends[low + last] > unit);
    const int32_t part = behind == 0 ? 31 : __ffs(static_cast<int>(behind)) - 1;
    low += part * step;
    count = count - part * step < step ? count - part * step : step;
  }
  return low;
}

// The pages [x, y) of a split of a tile that sees pages [first, end).
__device__ __forceinline__ int2 split_pages(const AttentionWork& work,
                                            const SegmentShare& share,
                                            int32_t split,
                                            int32_t first,
                                            int32_t end) {
  if (work.is_invariant && share.kernel == kDecodeKernel) {
    const int32_t length = work.plan.header->cut * kCutPages;
    const int32_t base = first / kCutPages * kCutPages + split * length;
    return {base > first ? base : first, base + length < end ? base + length : end};
  }
  const int64_t count = end - first;
  return {first + static_cast<int32_t>(count * split / share.splits),
          first + static_cast<int32_t>(count * (split + 1) / share.splits)};
}

// Called by one warp, all lanes of which get the result. Tiles of one head and split are neighbours
// in the order of units, beginning with the last tile, which sees the most pages.
__device__ inline Unit find_unit(const AttentionWork& work,
                                 AttentionKernel kernel,
                                 int32_t tile_rows,
                                 int32_t index) {
  const int32_t segment = find_segment(work.plan.ends[kernel], work.plan.num_segments, index);
  Unit unit;
  unit.share = work.plan.shares[segment];
  const SegmentShare& share = unit.share;
  const int32_t local = index - share.first_unit;
  unit.tile = share.tiles - 1 - local % share.tiles;
  unit.split = local / share.tiles % share.splits;
  unit.head = local / (share.tiles * share.splits);
  unit.first_token = work.segment_starts[segment];
  const int32_t end_token = work.segment_starts[segment + 1];
  const int32_t rows = (end_token - unit.first_token) * work.group;
  unit.first_row = unit.tile * tile_rows;
  unit.num_rows = rows - unit.first_row < tile_rows ? rows - unit.first_row : tile_rows;
  unit.base_position = work.positions[unit.first_token];
  unit.context = work.positions[end_token - 1] + 1;
  int32_t first = share.first_page, end = share.end_page;
  if (kernel == kPrefillKernel) {
    const int32_t seen = unit.base_position + unit.first_row / work.group - work.rule.window + 1;
    const int32_t last = (unit.first_row + unit.num_rows - 1) / work.group;
    first = (seen > 0 ? seen : 0) / kPageTokens;
    end = (unit.base_position + last) / kPageTokens + 1;
  }
  const int2 pages = split_pages(work, share, unit.split, first, end);
  unit.first_page = pages.x;
  unit.end_page = pages.y;
  unit.pages =
      work.page_table + static_cast<int64_t>(work.slots[unit.first_token]) * work.page_table_stride;
  unit.kv = work.kv + unit.head * work.head_stride;
  return unit;
}

// Finds unit `index` and stores it in shared memory, where it takes no registers. Called by the
// whole block, once no thread reads the previous unit any more.
__device__ __forceinline__ void take_unit(
    const AttentionWork& work, AttentionKernel kernel, int32_t tile_rows, int32_t index, Unit& to) {
  if (threadIdx.x < 32) {
    const Unit unit = find_unit(work, kernel, tile_rows, index);
    if (threadIdx.x == 0) to = unit;
  }
  __syncthreads();
}

// The next unit of this block after its first, whose index is the block's own. `word` is in shared
// memory. Called by the whole block; shared memory may be overwritten afterwards.
__device__ __forceinline__ int32_t next_unit(const AttentionWork& work,
                                             AttentionKernel kernel,
                                             int32_t* word) {
  PlanHeader* header = work.plan.header;
  if (header->units[kernel] <= static_cast<int32_t>(gridDim.x)) return header->units[kernel];
  __syncthreads();
  if (threadIdx.x == 0) {
    *word = static_cast<int32_t>(gridDim.x + atomicAdd(&header->tickets[kernel], 1u));
    if (*word >= header->units[kernel] &&
        atomicAdd(&header->finished[kernel], 1u) == gridDim.x - 1) {
      header->tickets[kernel] = 0;
      header->finished[kernel] = 0;
    }
  }
  __syncthreads();
  return *word;
}

// Eight elements of a row of q, zero from head_dim on. A head whose width is not a multiple of
// eight is only 4-byte aligned.
__device__ __forceinline__ uint4 load_chunk(const uint16_t* head,
                                            int32_t column,
                                            int32_t head_dim) {
  if (head_dim % 8 == 0) {
    if (column >= head_dim) return {0, 0, 0, 0};
    return *reinterpret_cast<const uint4*>(head + column);
  }
  uint4 chunk = {0, 0, 0, 0};
  const auto* words = reinterpret_cast<const uint32_t*>(head + column);
  if (column < head_dim) chunk.x = words[0];
  if (column + 2 < head_dim) chunk.y = words[1];
  if (column + 4 < head_dim) chunk.z = words[2];
  if (column + 6 < head_dim) chunk.w = words[3];
  return chunk;
}

__device__ __forceinline__ int64_t head_column(const AttentionWork& work,
                                               const Unit& unit,
                                               int32_t row) {
  return static_cast<int64_t>(unit.head * work.group + row % work.group) * work.head_dim;
}

// The position of a row of the tile; rows past the end count as the last row.
__device__ __forceinline__ int32_t position_of(const AttentionWork& work,
                                               const Unit& unit,
                                               int32_t row) {
  const int32_t real = row < unit.num_rows ? row : unit.num_rows - 1;
  return unit.base_position + (unit.first_row + real) / work.group;
}

// Loads the unit's rows of q into a tile of kRows rows, zero past the end, and their positions.
// Called by the whole block.
template <int kDim, int kRows>
__device__ inline void load_queries(const AttentionWork& work,
                                    const Unit& unit,
                                    unsigned char* queries,
                                    int32_t* positions) {
  for (int32_t row = threadIdx.x; row < kRows; row += kAttentionThreads) {
    positions[row] = position_of(work, unit, row);
  }
  for (int32_t i = threadIdx.x; i < kRows * (kDim / 8); i += kAttentionThreads) {
    const int32_t row = i / (kDim / 8), chunk = i % (kDim / 8);
    uint4 value = {0, 0, 0, 0};
    if (row < unit.num_rows) {
      const int32_t packed = unit.first_row + row;
      const int64_t token = unit.first_token + packed / work.group;
      value = load_chunk(work.q + token * work.q_stride + head_column(work, unit, packed),
                         chunk * 8,
                         work.head_dim);
    }
    *reinterpret_cast<uint4*>(queries + tile_offset<kDim, kRows>(row, chunk)) = value;
  }
}

// Writes columns `column` and `column` + 1 of a row of the tile, if row and columns exist.
template <class E>
__device__ __forceinline__ void write_pair(
    const AttentionWork& work, const Unit& unit, int32_t row, int32_t column, float2 pair) {
  if (row >= unit.num_rows || column >= work.head_dim) return;
  const int32_t packed = unit.first_row + row;
  const int64_t token = unit.first_token + packed / work.group;
  uint16_t* out = work.out + token * work.out_stride + head_column(work, unit, packed) + column;
  *reinterpret_cast<uint32_t*>(out) = pack2<E>(pair.x, pair.y);
}

__device__ __forceinline__ float inverse_or_zero(float sum) {
  return sum > 0.0f ? 1.0f / sum : 0.0f;
}

// Writes O / l of tile `t` of a warp's state; its row 0 is row `first_row` of the unit.
template <class E, int kDim, int kTiles>
__device__ __forceinline__ void write_rows(const AttentionWork& work,
                                           const Unit& unit,
                                           const RowState<kDim, kTiles>& state,
                                           int t,
                                           int32_t first_row) {
  const int32_t lane = threadIdx.x % 32;
  const float low = inverse_or_zero(state.l[t][0]), high = inverse_or_zero(state.l[t][1]);
  const int32_t row = first_row + lane / 4;
#pragma unroll
  for (int n = 0; n < kDim / 8; ++n) {
    const auto& o = state.o[t][n];
    const int32_t column = 8 * n + lane % 4 * 2;
    write_pair<E>(work, unit, row, column, {o[0] * low, o[1] * low});
    write_pair<E>(work, unit, row + 8, column, {o[2] * high, o[3] * high});
  }
}

// State of a block that folds partials: thread i holds fragments i, i + 128, ..., all of lane i %
// 32, so its two rows are fixed.
template <int kDim>
struct FoldState {
  static constexpr int kFragments = (kDim + 31) / 32;
  static constexpr uint32_t kCount = kDim / 8 * 32;
  float4 o[kFragments];
  float m[2];
  float l[2];

  __device__ __forceinline__ void clear() {
    m[0] = m[1] = negative_infinity();
    l[0] = l[1] = 0;
#pragma unroll
    for (int i = 0; i < kFragments; ++i) o[i] = {0, 0, 0, 0};
  }

  // Folds `right` into this state, which is the left operand.
  __device__ __forceinline__ void fold(const Partial<kDim>& right) {
    const int32_t row = threadIdx.x % 32 / 4;
    const float right_m[2] = {right.m[row], right.m[row + 8]};
    const float2 low = fold_factors(m[0], right_m[0]), high = fold_factors(m[1], right_m[1]);
    m[0] = fmaxf(m[0], right_m[0]);
    m[1] = fmaxf(m[1], right_m[1]);
    l[0] = folded(l[0], right.l[row], low);
    l[1] = folded(l[1], right.l[row + 8], high);
#pragma unroll
    for (int i = 0; i < kFragments; ++i) {
      const uint32_t fragment = threadIdx.x + i * kAttentionThreads;
      if (fragment >= kCount) continue;
      const float4 other = right.o[fragment];
      o[i].x = folded(o[i].x, other.x, low);
      o[i].y = folded(o[i].y, other.y, low);
      o[i].z = folded(o[i].z, other.z, high);
      o[i].w = folded(o[i].w, other.w, high);
    }
  }

  __device__ __forceinline__ void store(Partial<kDim>& to) const {
    const int32_t lane = threadIdx.x % 32;
#pragma unroll
    for (int i = 0; i < kFragments; ++i) {
      const uint32_t fragment = threadIdx.x + i * kAttentionThreads;
      if (fragment < kCount) store_grid(&to.o[fragment], o[i]);
    }
    if (threadIdx.x >= 32 || lane % 4 != 0) return;
    store_grid(&to.m[lane / 4], m[0]);
    store_grid(&to.m[lane / 4 + 8], m[1]);
    store_grid(&to.l[lane / 4], l[0]);
    store_grid(&to.l[lane / 4 + 8], l[1]);
  }

  // Writes O / l as rows [first_row, first_row + 16) of the unit.
  template <class E>
  __device__ __forceinline__ void write(const AttentionWork& work,
                                        const Unit& unit,
                                        int32_t first_row) const {
    const float low = inverse_or_zero(l[0]), high = inverse_or_zero(l[1]);
    const int32_t lane = threadIdx.x % 32;
#pragma unroll
    for (int i = 0; i < kFragments; ++i) {
      const uint32_t fragment = threadIdx.x + i * kAttentionThreads;
      if (fragment >= kCount) continue;
      const int32_t column = static_cast<int32_t>(fragment / 32 * 8) + lane % 4 * 2;
      write_pair<E>(work, unit, first_row + lane / 4, column, {o[i].x * low, o[i].y * low});
      write_pair<E>(work, unit, first_row + lane / 4 + 8, column, {o[i].z * high, o[i].w * high});
    }
  }
};

// The slots of the unit's tile: consecutive for tiles of 16 rows; a larger tile has one slot per 16
// rows and split, row-major within a split.
template <int kDim>
__device__ __forceinline__ Partial<kDim>* slots_of(const AttentionWork& work, const Unit& unit) {
  const int32_t tile = unit.head * unit.share.tiles + unit.tile;
  const int64_t slot = unit.share.first_slot + static_cast<int64_t>(tile) * unit.share.partials;
  return reinterpret_cast<Partial<kDim>*>(work.partials) + slot;
}

// Whether this block is the last of the tile's splits to arrive (last_block.h).
__device__ __forceinline__ bool arrives_last(const AttentionWork& work,
                                             const Unit& unit,
                                             int32_t* word) {
  const int32_t tile = unit.head * unit.share.tiles + unit.tile;
  return arrives_last(
      work.plan.counters + unit.share.first_counter + tile, unit.share.splits, word);
}

// Folds the tile's partials in slot order and writes its rows. Called by the block that arrived
// last.
template <class E, int kDim, int kRows>
__device__ inline void write_folded(const AttentionWork& work, const Unit& unit) {
  constexpr int32_t kParts = kRows / kTileRows;
  const Partial<kDim>* slots = slots_of<kDim>(work, unit);
  for (int32_t part = 0; part < kParts && part * kTileRows < unit.num_rows; ++part) {
    FoldState<kDim> state;
    state.clear();
#pragma unroll 2
    for (int32_t i = part; i < unit.share.partials; i += kParts) state.fold(slots[i]);
    state.template write<E>(work, unit, part * kTileRows);
  }
}

}  // namespace trireme::cuda
