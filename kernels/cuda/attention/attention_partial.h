// Partial results of a tile: of each real row O, m and l over some of its pages, in fp32. In the
// workspace a tile's partials follow one another, each of num_rows rows: O row-major, m and l in an
// array of their own. In shared memory the partials of a block's warps have the same form, with
// rows that are 32 bytes longer, so that lanes that write a column of eight rows meet no bank
// twice.
//
// Partials are folded left to right. A thread folds chunks of four columns of one row, each on its
// own: no sum depends on how chunks are distributed over threads.
#pragma once

#include <cstdint>

#include "kernels/cuda/arch.h"
#include "kernels/cuda/attention/attention_tile.h"
#include "kernels/cuda/attention/attention_work.h"

namespace trireme::cuda {

template <int kDim>
constexpr int32_t row_chunks() {
  return kDim / 4;
}
template <int kDim>
constexpr int32_t shared_row_chunks() {
  return row_chunks<kDim>() + 2;
}

// A partial of up to 16 rows in shared memory.
template <int kDim>
struct SharedPartial {
  float4 o[kTileRows * shared_row_chunks<kDim>()];
  float2 sums[kTileRows];  // m and l
};

// One partial, or the first of several.
struct PartialView {
  float4* o;
  float2* sums;
};

// Partial `index` of the unit's tile in the workspace.
template <int kDim>
__device__ __forceinline__ PartialView partial_of(const AttentionWork& work,
                                                  const Unit& unit,
                                                  int32_t index) {
  const int64_t row = int64_t{unit.first_partial_row} + int64_t{index} * unit.num_rows;
  return {work.partials + row * row_chunks<kDim>(), work.partial_sums + row};
}

// Writes the real rows of tile `t` of a warp's state, whose row 0 is row `first_row` of the
// partial; l must be complete. Called by one warp.
template <int kDim, int kPitch, int kTiles>
__device__ __forceinline__ void write_partial(const PartialView& partial,
                                              const RowState<kDim, kTiles>& state,
                                              int t,
                                              int32_t first_row,
                                              int32_t num_rows) {
  const int32_t lane = threadIdx.x % 32;
#pragma unroll
  for (int half = 0; half < 2; ++half) {
    const int32_t row = first_row + half * 8 + lane / 4;
    if (row >= num_rows) continue;
    auto* to = reinterpret_cast<float2*>(partial.o + row * kPitch) + lane % 4;
#pragma unroll
    for (int n = 0; n < kDim / 8; ++n) {
      const float* o = state.o[t][n] + 2 * half;
      store_grid(&to[4 * n], {o[0], o[1]});
    }
    if (lane % 4 == 0) store_grid(&partial.sums[row], {state.m[t][half], state.l[t][half]});
  }
}

// The result of folding one chunk of a row.
struct FoldedChunk {
  float4 o;
  float2 sums;

  __device__ __forceinline__ void clear() {
    o = {0, 0, 0, 0};
    sums = {negative_infinity(), 0};
  }
  // This is the left operand.
  __device__ __forceinline__ void fold(const float4& right, const float2& right_sums) {
    const float2 factors = fold_factors(sums.x, right_sums.x);
    sums.x = fmaxf(sums.x, right_sums.x);
    sums.y = folded(sums.y, right_sums.y, factors);
    o.x = folded(o.x, right.x, factors);
    o.y = folded(o.y, right.y, factors);
    o.z = folded(o.z, right.z, factors);
    o.w = folded(o.w, right.w, factors);
  }
  __device__ __forceinline__ void fold_if(bool is_real,
                                          const float4& right,
                                          const float2& right_sums) {
    FoldedChunk next = *this;
    next.fold(right, right_sums);
    select(is_real, next.o, next.sums);
  }
  __device__ __forceinline__ void select(bool is_other,
                                         const float4& other,
                                         const float2& other_sums) {
    sums.x = is_other ? other_sums.x : sums.x;
    sums.y = is_other ? other_sums.y : sums.y;
    o.x = is_other ? other.x : o.x;
    o.y = is_other ? other.y : o.y;
    o.z = is_other ? other.z : o.z;
    o.w = is_other ? other.w : o.w;
  }
};

// Writes O / l of a chunk of row `row` of the tile, as far as its columns exist.
template <class E>
__device__ __forceinline__ void write_chunk(const AttentionWork& work,
                                            const RowPlace& place,
                                            int32_t column,
                                            const FoldedChunk& chunk) {
  const float inverse = inverse_or_zero(chunk.sums.y);
  auto* out = reinterpret_cast<uint32_t*>(output_of(work, place) + column);
  const float4& o = chunk.o;
  if (column < work.head_dim) out[0] = pack2<E>(o.x * inverse, o.y * inverse);
  if (column + 2 < work.head_dim) out[1] = pack2<E>(o.z * inverse, o.w * inverse);
}

// Writes O / l of tile `t` of a warp's state; its row 0 is row `first_row` of the unit.
template <class E, int kDim, int kTiles>
__device__ __forceinline__ void write_rows(const AttentionWork& work,
                                           const Unit& unit,
                                           const RowPlace* places,
                                           const RowState<kDim, kTiles>& state,
                                           int t,
                                           int32_t first_row) {
  const int32_t lane = threadIdx.x % 32;
#pragma unroll
  for (int half = 0; half < 2; ++half) {
    const int32_t row = first_row + half * 8 + lane / 4;
    if (row >= unit.num_rows) continue;
    const float inverse = inverse_or_zero(state.l[t][half]);
    auto* out = reinterpret_cast<uint32_t*>(output_of(work, places[row])) + lane % 4;
#pragma unroll
    for (int n = 0; n < kDim / 8; ++n) {
      const float* o = state.o[t][n] + 2 * half;
      if (8 * n + lane % 4 * 2 < work.head_dim) {
        out[4 * n] = pack2<E>(o[0] * inverse, o[1] * inverse);
      }
    }
  }
}

// Folds chunks first + threadIdx.x + i * kAttentionThreads, i < kChunks, of the tile's partials and
// writes their rows. The loads of kAhead partials are under way together.
template <class E, int kDim, int kChunks, int kAhead>
__device__ __forceinline__ void fold_chunks(const AttentionWork& work,
                                            const Unit& unit,
                                            const RowPlace* places,
                                            int32_t first) {
  constexpr int32_t kRowChunks = row_chunks<kDim>();
  const int32_t count = unit.num_rows * kRowChunks;
  const PartialView partials = partial_of<kDim>(work, unit, 0);
  int32_t place[kChunks];
  FoldedChunk folded[kChunks];
#pragma unroll
  for (int i = 0; i < kChunks; ++i) {
    const int32_t chunk = first + static_cast<int32_t>(threadIdx.x) + i * kAttentionThreads;
    place[i] = chunk < count ? chunk : count - 1;
    folded[i].clear();
  }
#pragma unroll 1
  for (int32_t begin = 0; begin < unit.partials; begin += kAhead) {
    float4 o[kAhead][kChunks];
    float2 sums[kAhead][kChunks];
#pragma unroll
    for (int a = 0; a < kAhead; ++a) {
      const int32_t partial = begin + a < unit.partials ? begin + a : unit.partials - 1;
#pragma unroll
      for (int i = 0; i < kChunks; ++i) {
        o[a][i] = partials.o[int64_t{partial} * count + place[i]];
        sums[a][i] = partials.sums[int64_t{partial} * unit.num_rows + place[i] / kRowChunks];
      }
    }
    // The compiler moves no load past this barrier, nor behind a branch: sums are selected, not
    // skipped. The first partial is taken as it is, so that a chain of cuts that was divided has
    // the bits of a whole one.
    __syncwarp();
#pragma unroll
    for (int a = 0; a < kAhead; ++a) {
#pragma unroll
      for (int i = 0; i < kChunks; ++i) {
        folded[i].fold_if(begin + a < unit.partials, o[a][i], sums[a][i]);
        if (a == 0) folded[i].select(begin == 0, o[a][i], sums[a][i]);
      }
    }
  }
#pragma unroll
  for (int i = 0; i < kChunks; ++i) {
    if (first + static_cast<int32_t>(threadIdx.x) + i * kAttentionThreads >= count) continue;
    const int32_t row = place[i] / kRowChunks, column = place[i] % kRowChunks * 4;
    write_chunk<E>(work, places[row], column, folded[i]);
  }
}

// Folds the tile's partials in order and writes its rows. Called by the block that arrived last.
template <class E, int kDim>
__device__ __forceinline__ void write_folded(const AttentionWork& work,
                                             const Unit& unit,
                                             const RowPlace* places) {
  const int32_t count = unit.num_rows * row_chunks<kDim>();
  if (count <= kAttentionThreads) {
    fold_chunks<E, kDim, 1, 16>(work, unit, places, 0);
    return;
  }
#pragma unroll 1
  for (int32_t first = 0; first < count; first += 4 * kAttentionThreads) {
    fold_chunks<E, kDim, 4, 4>(work, unit, places, first);
  }
}

}  // namespace trireme::cuda
