// The arithmetic shared by both attention kernels, so that the bits of a row do not depend on the
// kernel that computes it: one warp, some tiles of 16 packed rows, one page of 64 tokens.
//
// A page step of a row, in fp32 unless noted, with k = scale log2 e, or cap log2 e with a soft cap:
//
//   s_j = q . k_j, a chain over the dimensions, 16 at a time
//   s_j = tanh(scale s_j / cap) with a soft cap; s_j = -inf where masked
//   m' = max(m, max_j s_j k)
//   p_j = 2^(s_j k - m')
//   l = l 2^(m - m') + sum p_j
//   o = o 2^(m - m') + sum E(p_j) v_j, p_j rounded to the pages' type E
//
// Each lane sums its own p_j of l; the four lanes of a quad are added at the end. In exponents m =
// -inf counts as 0. (Online softmax: Milakov & Gimelshein 2018.)
#pragma once

#include <cstdint>

#include "kernels/cuda/arch.h"
#include "kernels/cuda/attention/attention_plan.h"
#include "kernels/cuda/page_image.h"

namespace trireme::cuda {

template <int kDim>
constexpr int32_t row_bytes() {
  return 2 * kDim;
}
// Byte offset of a 16-byte chunk in a tile of kRows rows in shared memory: as in a page, with kRows
// in place of its 64 tokens.
template <int kDim, int kRows>
__device__ __forceinline__ int32_t tile_offset(int32_t row, int32_t chunk) {
  constexpr int32_t kUnit = swizzle_unit(kDim), kChunks = kUnit / 16;
  return chunk / kChunks * (kRows * kUnit) + chunk_offset(row, chunk % kChunks, kUnit);
}

__device__ __forceinline__ float negative_infinity() { return __uint_as_float(0xff800000u); }
// The maximum that exponents subtract: 0 for a row that has seen nothing.
__device__ __forceinline__ float finite_max(float m) { return m == negative_infinity() ? 0.0f : m; }

// Sum and maximum over the four lanes that share a row; the same bits in each.
__device__ __forceinline__ float quad_sum(float value) {
  value += __shfl_xor_sync(0xffffffffu, value, 1);
  return value + __shfl_xor_sync(0xffffffffu, value, 2);
}
__device__ __forceinline__ float quad_max(float value) {
  value = fmaxf(value, __shfl_xor_sync(0xffffffffu, value, 1));
  return fmaxf(value, __shfl_xor_sync(0xffffffffu, value, 2));
}

// A lane's part of the state of its warp's rows: of tile t rows lane / 4 (half 0) and lane / 4 + 8
// (half 1), of O columns 8 n + 2 (lane % 4) and the next. l is the lane's own sum until quad_sum().
template <int kDim, int kTiles>
struct RowState {
  float m[kTiles][2];
  float l[kTiles][2];
  float o[kTiles][kDim / 8][4];

  __device__ __forceinline__ void clear() {
#pragma unroll
    for (int t = 0; t < kTiles; ++t) {
      m[t][0] = m[t][1] = negative_infinity();
      l[t][0] = l[t][1] = 0;
#pragma unroll
      for (int n = 0; n < kDim / 8; ++n) o[t][n][0] = o[t][n][1] = o[t][n][2] = o[t][n][3] = 0;
    }
  }
};

// Scores of a page: s[t][n][e] belongs to token 8 n + 2 (lane % 4) + e % 2 and half e / 2. soften()
// turns them into weights.
template <int kTiles>
struct PageScores {
  float s[kTiles][kPageTokens / 8][4];

  __device__ __forceinline__ void clear() {
#pragma unroll
    for (int t = 0; t < kTiles; ++t) {
#pragma unroll
      for (int n = 0; n < kPageTokens / 8; ++n) {
        s[t][n][0] = s[t][n][1] = s[t][n][2] = s[t][n][3] = 0;
      }
    }
  }
};

// Parameters of the map from scores to weights.
struct ScoreRule {
  float factor;      // k above
  float cap_factor;  // 2 log2 e scale / cap; 0: no cap
  int32_t window;    // tokens seen; without a window more than any context
};

// Byte offset of this lane's matrix row in a tile of kRows rows for the first 16 dimensions; the
// offsets of further dimensions differ by an xor and a constant (chunk_at). A: for load_matrices()
// of an A operand or, transposed, of V: 16 rows of one chunk, then of the next. B: 8 rows of two
// chunks.
template <int kDim>
__device__ __forceinline__ int32_t lane_offset_a() {
  const int32_t lane = threadIdx.x % 32;
  return chunk_offset(lane % 16, lane / 16, swizzle_unit(kDim));
}
template <int kDim>
__device__ __forceinline__ int32_t lane_offset_b() {
  const int32_t lane = threadIdx.x % 32;
  return chunk_offset(lane / 16 * 8 + lane % 8, lane / 8 % 2, swizzle_unit(kDim));
}
// Offset of chunks 2 step and 2 step + 1; `offset` is lane_offset_a() or _b(), `row` a multiple of
// 16.
template <int kDim, int kRows>
__device__ __forceinline__ int32_t chunk_at(int32_t offset, int32_t row, int32_t step) {
  constexpr int32_t kUnit = swizzle_unit(kDim), kSteps = kUnit / 32;
  return (offset ^ (step % kSteps * 32)) + row * kUnit + step / kSteps * (kRows * kUnit);
}

template <class E>
__device__ __forceinline__ void multiply_pair(float (&d0)[4],
                                              float (&d1)[4],
                                              const uint32_t (&a)[4],
                                              const uint32_t (&b)[4]) {
  const uint32_t first[2] = {b[0], b[1]}, second[2] = {b[2], b[3]};
  mma_16x8x16<E>(d0, a, first);
  mma_16x8x16<E>(d1, a, second);
}

// tanh(scale s / cap), computed from e^2y; error at most 2^-21.
__device__ __forceinline__ float capped(float s, float cap_factor) {
  return 1.0f - __fdividef(2.0f, exp2_fast(s * cap_factor) + 1.0f);
}

template <int kTiles>
__device__ __forceinline__ void cap_scores(PageScores<kTiles>& scores, float cap_factor) {
#pragma unroll
  for (int t = 0; t < kTiles; ++t) {
#pragma unroll
    for (int n = 0; n < kPageTokens / 8; ++n) {
#pragma unroll
      for (int e = 0; e < 4; ++e) scores.s[t][n][e] = capped(scores.s[t][n][e], cap_factor);
    }
  }
}

// Sets scores to -inf where a row does not see a token: before its window or after its position.
// `positions`: of the warp's rows, in shared memory.
template <int kTiles>
__device__ __forceinline__ void mask_scores(PageScores<kTiles>& scores,
                                            const int32_t* positions,
                                            int32_t first_token,
                                            int32_t window) {
  const int32_t lane = threadIdx.x % 32;
  const int32_t column = first_token + lane % 4 * 2;
#pragma unroll
  for (int t = 0; t < kTiles; ++t) {
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      const int32_t before = positions[t * kTileRows + half * 8 + lane / 4] - column;
#pragma unroll
      for (int n = 0; n < kPageTokens / 8; ++n) {
#pragma unroll
        for (int e = 0; e < 2; ++e) {
          const int32_t back = before - 8 * n - e;
          if (back < 0 || back >= window) scores.s[t][n][2 * half + e] = negative_infinity();
        }
      }
    }
  }
}

// Turns scores into weights, and rescales l and O to the new maximum.
template <int kDim, int kTiles>
__device__ __forceinline__ void soften(PageScores<kTiles>& scores,
                                       RowState<kDim, kTiles>& state,
                                       float factor) {
#pragma unroll
  for (int t = 0; t < kTiles; ++t) {
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      float greatest = negative_infinity();
#pragma unroll
      for (int n = 0; n < kPageTokens / 8; ++n) {
        greatest = fmaxf(greatest, scores.s[t][n][2 * half]);
        greatest = fmaxf(greatest, scores.s[t][n][2 * half + 1]);
      }
      const float m = fmaxf(state.m[t][half], quad_max(greatest) * factor);
      const float base = finite_max(m);
      const float decay = exp2_fast(state.m[t][half] - base);
      float sum = 0;
#pragma unroll
      for (int n = 0; n < kPageTokens / 8; ++n) {
#pragma unroll
        for (int e = 2 * half; e < 2 * half + 2; ++e) {
          const float weight = exp2_fast(fmaf(scores.s[t][n][e], factor, -base));
          scores.s[t][n][e] = weight;
          sum += weight;
        }
      }
      state.m[t][half] = m;
      state.l[t][half] = fmaf(state.l[t][half], decay, sum);
#pragma unroll
      for (int n = 0; n < kDim / 8; ++n) {
        state.o[t][n][2 * half] *= decay;
        state.o[t][n][2 * half + 1] *= decay;
      }
    }
  }
}

// The weights of a page in type E; a[t][step] is the A operand of tokens [16 step, 16 step + 16).
template <int kTiles>
struct PageWeights {
  uint32_t a[kTiles][kPageTokens / 16][4];

  template <class E>
  __device__ __forceinline__ void pack(const PageScores<kTiles>& scores) {
#pragma unroll
    for (int t = 0; t < kTiles; ++t) {
#pragma unroll
      for (int step = 0; step < kPageTokens / 16; ++step) {
        const auto& low = scores.s[t][2 * step];
        const auto& high = scores.s[t][2 * step + 1];
        a[t][step][0] = pack2<E>(low[0], low[1]);
        a[t][step][1] = pack2<E>(low[2], low[3]);
        a[t][step][2] = pack2<E>(high[0], high[1]);
        a[t][step][3] = pack2<E>(high[2], high[3]);
      }
    }
  }
};

// O += weights of tokens [16 step, 16 step + 16) times their rows of V, which begin at row `token`
// of a tile of kRows rows.
template <class E, int kDim, int kTiles, int kRows>
__device__ __forceinline__ void add_values(RowState<kDim, kTiles>& state,
                                           const PageWeights<kTiles>& weights,
                                           const unsigned char* values,
                                           int step,
                                           int32_t token) {
  const int32_t offset = lane_offset_a<kDim>();
#pragma unroll
  for (int c = 0; c < kDim / 16; ++c) {
    uint32_t b[4];
    load_matrices_transposed(b, values + chunk_at<kDim, kRows>(offset, token, c));
#pragma unroll
    for (int t = 0; t < kTiles; ++t) {
      multiply_pair<E>(state.o[t][2 * c], state.o[t][2 * c + 1], weights.a[t][step], b);
    }
  }
}

// The factors that join the results of two sets of tokens: value = left * x + right * y.
__device__ __forceinline__ float2 fold_factors(float left_m, float right_m) {
  const float base = finite_max(fmaxf(left_m, right_m));
  return {exp2_fast(left_m - base), exp2_fast(right_m - base)};
}
__device__ __forceinline__ float folded(float left, float right, float2 factors) {
  return fmaf(right, factors.y, left * factors.x);
}

// The partial result of 16 rows for some tokens, in shared memory or the workspace. O as the lanes
// of a warp hold it: [n][lane] = row lane / 4, columns 8 n + 2 (lane % 4) and the next, then row
// lane / 4 + 8.
template <int kDim>
struct Partial {
  float4 o[kDim / 8 * 32];
  float m[kTileRows];
  float l[kTileRows];
};

// Writes tile `t` of a warp's state; l must be complete. Lanes whose two rows are both at or past
// `valid_rows` write nothing.
template <int kDim, int kTiles>
__device__ __forceinline__ void write_partial(Partial<kDim>& partial,
                                              const RowState<kDim, kTiles>& state,
                                              int t,
                                              int32_t valid_rows) {
  const int32_t lane = threadIdx.x % 32;
  if (lane / 4 >= valid_rows) return;
#pragma unroll
  for (int n = 0; n < kDim / 8; ++n) {
    const auto& o = state.o[t][n];
    store_grid(&partial.o[n * 32 + lane], {o[0], o[1], o[2], o[3]});
  }
  if (lane % 4 != 0) return;
  store_grid(&partial.m[lane / 4], state.m[t][0]);
  store_grid(&partial.m[lane / 4 + 8], state.m[t][1]);
  store_grid(&partial.l[lane / 4], state.l[t][0]);
  store_grid(&partial.l[lane / 4 + 8], state.l[t][1]);
}

}  // namespace trireme::cuda
