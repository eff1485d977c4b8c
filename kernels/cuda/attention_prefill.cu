// Attention of segments with many rows: out = softmax(scale q K^T) V over the pages a row sees.
//
// A block of four warps takes 128 packed rows (64 of width 256), a warp 32 (16) of them. Pages come
// through a ring of blocks in shared memory, K and V in turn, each copied as it lies in memory by
// 16 bytes at a time; q stays in shared memory and is read with K, since O and the scores of two
// tiles fill the registers. Tokens behind the context arrive as zeros: their weights are zero, and
// zero times what an unwritten page holds need not be. A warp passes over pages that none of its
// rows sees; a page before every row's window is never read. In the invariant mode O of the cuts
// done is kept in shared memory or, where a block has only 99 KiB, in the workspace: one more read
// and write of it a cut, at most as many bytes as the cut's K and V.
//
// Bound: flops, 4 dim a (row, token) pair; shared memory gives a fragment of K or V to two
// products. Share of peak: not yet measured.
#include "kernels/cuda/attention_launch.h"
#include "kernels/cuda/launch.h"

namespace trireme::cuda {

namespace {

// Blocks an SM that ptxas leaves registers for, of sm_90 with its 228 KiB; launches ask the device.
constexpr int32_t promised_blocks(int32_t stored_dim) { return stored_dim <= 128 ? 2 : 1; }

template <int kDim>
struct PrefillLayout {
  static constexpr int32_t kRows = prefill_rows(kDim);
  static constexpr int32_t kTiles = kRows / kTileRows / kAttentionWarps;  // of a warp
  static constexpr int32_t kBlockBytes = kPageTokens * row_bytes<kDim>();
  static constexpr int32_t kBlocks = kDim <= 128 ? 4 : 2;  // two launched blocks an SM; one of 256

  alignas(128) unsigned char ring[kBlocks][kBlockBytes];
  unsigned char queries[kRows * row_bytes<kDim>()];
  int32_t positions[kRows];
  Unit unit;
  int32_t word[4];
};

// With the run, what came before the last cut: m and l by row. O as each lane holds it comes
// behind, or lies in the workspace where the device has no room for it.
template <int kDim>
struct PrefillRunLayout {
  PrefillLayout<kDim> tile;
  float m[PrefillLayout<kDim>::kRows];
  float l[PrefillLayout<kDim>::kRows];
};
template <int kDim>
struct PrefillFoldLayout {
  static constexpr int32_t kFragments = PrefillLayout<kDim>::kTiles * kDim / 8;  // of a lane

  PrefillRunLayout<kDim> run;
  float4 o[kFragments * kAttentionThreads];
};

// This thread's fragment 0 of O of the run; the next ones are kAttentionThreads apart.
template <int kDim>
__device__ __forceinline__ float4* run_of_thread(const AttentionWork& work) {
  using Layout = PrefillFoldLayout<kDim>;
  float4* o = work.runs == nullptr
                  ? shared_memory<Layout>().o
                  : work.runs + int64_t{blockIdx.x} * (Layout::kFragments * kAttentionThreads);
  return o + threadIdx.x;
}

// Block `index` of the unit's sequence K, V, K, V, ... into the ring. One group of copies, empty
// behind the end.
template <int kDim>
__device__ __forceinline__ void load_block(const AttentionWork& work,
                                           const Unit& unit,
                                           PrefillLayout<kDim>& shared,
                                           int32_t index) {
  using Layout = PrefillLayout<kDim>;
  constexpr int32_t kRowChunks = swizzle_unit(kDim) / 16;
  const int32_t page = unit.first_page + index / 2;
  if (page < unit.end_page) {
    const unsigned char* from =
        unit.kv + int64_t{unit.pages[page]} * work.page_stride + index % 2 * work.v_offset;
    unsigned char* to = shared.ring[index % Layout::kBlocks];
    const int32_t tokens = unit.context - page * kPageTokens;
#pragma unroll 2  // more, and addresses push accumulators out of the registers
    for (int j = 0; j < Layout::kBlockBytes / 16 / kAttentionThreads; ++j) {
      const int32_t chunk = threadIdx.x + j * kAttentionThreads;
      const int32_t token = chunk / kRowChunks % kPageTokens;
      copy_async_16(to + chunk * 16, from + chunk * 16, token < tokens ? 16 : 0);
    }
  }
  copy_async_commit();
}

template <class E, int kDim, int kTiles, int kRows>
__device__ __forceinline__ void score_page(PageScores<kTiles>& scores,
                                           const unsigned char* queries,
                                           const unsigned char* keys,
                                           int32_t first_row) {
  const int32_t query = lane_offset_a<kDim>(), key = lane_offset_b<kDim>();
  scores.clear();
#pragma unroll 4
  for (int k = 0; k < kDim / 16; ++k) {
    uint32_t a[kTiles][4];
#pragma unroll
    for (int t = 0; t < kTiles; ++t) {
      const int32_t row = first_row + t * kTileRows;
      load_matrices(a[t], queries + chunk_at<kDim, kRows>(query, row, k));
    }
#pragma unroll
    for (int n = 0; n < kPageTokens / 16; ++n) {
      uint32_t b[4];
      load_matrices(b, keys + chunk_at<kDim, kPageTokens>(key, 16 * n, k));
#pragma unroll
      for (int t = 0; t < kTiles; ++t) {
        multiply_pair<E>(scores.s[t][2 * n], scores.s[t][2 * n + 1], a[t], b);
      }
    }
  }
}

// What a warp's rows see.
struct WarpView {
  int32_t first_position;
  int32_t last_position;
  bool is_real;

  __device__ __forceinline__ bool sees(int32_t token, int32_t window) const {
    return is_real && token <= last_position && first_position - (token + kPageTokens - 1) < window;
  }
  // Whether every row sees the whole page that starts at `token`.
  __device__ __forceinline__ bool sees_all(int32_t token, int32_t window) const {
    return token + kPageTokens - 1 <= first_position && last_position - token < window;
  }
};

// The lane's row of half 0 of tile `t` of its warp.
template <int kTiles>
__device__ __forceinline__ int32_t lane_row(int t) {
  return (threadIdx.x / 32 * kTiles + t) * kTileRows + threadIdx.x % 32 / 4;
}

// The state since the last cut joins what came before, and starts anew. By whole warps.
template <int kDim, int kTiles>
__device__ __forceinline__ void fold_cut(const AttentionWork& work,
                                         PrefillRunLayout<kDim>& run,
                                         RowState<kDim, kTiles>& state) {
  float4* run_o = run_of_thread<kDim>(work);
#pragma unroll
  for (int t = 0; t < kTiles; ++t) {
    float* m = run.m + lane_row<kTiles>(t);
    float* l = run.l + lane_row<kTiles>(t);
    const float2 low = fold_factors(m[0], state.m[t][0]), high = fold_factors(m[8], state.m[t][1]);
    const float low_m = fmaxf(m[0], state.m[t][0]), high_m = fmaxf(m[8], state.m[t][1]);
    const float low_l = folded(l[0], quad_sum(state.l[t][0]), low);
    const float high_l = folded(l[8], quad_sum(state.l[t][1]), high);
    __syncwarp();  // the quad has read its rows
    if (threadIdx.x % 4 == 0) {
      m[0] = low_m;
      m[8] = high_m;
      l[0] = low_l;
      l[8] = high_l;
    }
#pragma unroll
    for (int n = 0; n < kDim / 8; ++n) {
      float4& o = run_o[(t * (kDim / 8) + n) * kAttentionThreads];
      const auto& own = state.o[t][n];
      o = {folded(o.x, own[0], low),
           folded(o.y, own[1], low),
           folded(o.z, own[2], high),
           folded(o.w, own[3], high)};
    }
  }
  state.clear();
}

template <int kDim>
__device__ __forceinline__ void clear_run(const AttentionWork& work, PrefillRunLayout<kDim>& run) {
  const int32_t thread = threadIdx.x;
  float4* run_o = run_of_thread<kDim>(work);
  if (thread < PrefillLayout<kDim>::kRows) {
    run.m[thread] = negative_infinity();
    run.l[thread] = 0;
  }
  for (int n = 0; n < PrefillFoldLayout<kDim>::kFragments; ++n) {
    run_o[n * kAttentionThreads] = {0, 0, 0, 0};
  }
}

template <int kDim, int kTiles>
__device__ __forceinline__ void take_run(const AttentionWork& work,
                                         const PrefillRunLayout<kDim>& run,
                                         RowState<kDim, kTiles>& state) {
  const float4* run_o = run_of_thread<kDim>(work);
  __syncwarp();
#pragma unroll
  for (int t = 0; t < kTiles; ++t) {
    state.l[t][0] = run.l[lane_row<kTiles>(t)];
    state.l[t][1] = run.l[lane_row<kTiles>(t) + 8];
#pragma unroll
    for (int n = 0; n < kDim / 8; ++n) {
      const float4 o = run_o[(t * (kDim / 8) + n) * kAttentionThreads];
      state.o[t][n][0] = o.x;
      state.o[t][n][1] = o.y;
      state.o[t][n][2] = o.z;
      state.o[t][n][3] = o.w;
    }
  }
}

template <class E, int kDim, int kTiles>
__device__ __forceinline__ void attend_unit(const AttentionWork& work,
                                            const Unit& unit,
                                            PrefillLayout<kDim>& shared,
                                            RowState<kDim, kTiles>& state) {
  using Layout = PrefillLayout<kDim>;
  const int32_t warp_row = threadIdx.x / 32 * kTiles * kTileRows;
  const int32_t* positions = shared.positions + warp_row;
  const WarpView view = {position_of(work, unit, warp_row),
                         position_of(work, unit, warp_row + kTiles * kTileRows - 1),
                         warp_row < unit.num_rows};
#pragma unroll 1
  for (int32_t page = unit.first_page; page < unit.end_page; ++page) {
    const int32_t index = 2 * (page - unit.first_page), token = page * kPageTokens;
    const bool sees = view.sees(token, work.rule.window);
    PageWeights<kTiles> weights;
    copy_async_wait<Layout::kBlocks - 2>();
    __syncthreads();
    load_block(work, unit, shared, index + Layout::kBlocks - 1);
    if (sees) {
      PageScores<kTiles> scores;
      const unsigned char* keys = shared.ring[index % Layout::kBlocks];
      score_page<E, kDim, kTiles, Layout::kRows>(scores, shared.queries, keys, warp_row);
      if (work.rule.cap_factor > 0) cap_scores(scores, work.rule.cap_factor);
      if (!view.sees_all(token, work.rule.window)) {
        mask_scores(scores, positions, token, work.rule.window);
      }
      soften(scores, state, work.rule.factor);
      weights.template pack<E>(scores);
    }
    copy_async_wait<Layout::kBlocks - 2>();
    __syncthreads();
    load_block(work, unit, shared, index + Layout::kBlocks);
    if (sees) {
      const unsigned char* values = shared.ring[(index + 1) % Layout::kBlocks];
#pragma unroll
      for (int step = 0; step < kPageTokens / 16; ++step) {
        add_values<E, kDim, kTiles, kPageTokens>(state, weights, values, step, 16 * step);
      }
    }
    const bool ends_cut = (page + 1) % kCutPages == 0 || page + 1 == unit.end_page;
    if (work.is_invariant && ends_cut) {
      fold_cut(work, shared_memory<PrefillRunLayout<kDim>>(), state);
    }
  }
}

template <class E, int kDim, int kTiles>
__device__ __forceinline__ void finish_unit(const AttentionWork& work,
                                            const Unit& unit,
                                            PrefillLayout<kDim>& shared,
                                            RowState<kDim, kTiles>& state) {
  constexpr int32_t kParts = PrefillLayout<kDim>::kRows / kTileRows;
  const int32_t warp = threadIdx.x / 32;
  if (work.is_invariant) {
    take_run(work, shared_memory<PrefillRunLayout<kDim>>(), state);
  } else {
#pragma unroll
    for (int t = 0; t < kTiles; ++t) {
      state.l[t][0] = quad_sum(state.l[t][0]);
      state.l[t][1] = quad_sum(state.l[t][1]);
    }
  }
  if (unit.share.splits == 1) {
#pragma unroll
    for (int t = 0; t < kTiles; ++t) {
      write_rows<E>(work, unit, state, t, (warp * kTiles + t) * kTileRows);
    }
    return;
  }
  Partial<kDim>* slots = slots_of<kDim>(work, unit) + unit.split * kParts + warp * kTiles;
#pragma unroll
  for (int t = 0; t < kTiles; ++t) {
    write_partial(slots[t], state, t, unit.num_rows - (warp * kTiles + t) * kTileRows);
  }
  if (arrives_last(work, unit, shared.word)) {
    write_folded<E, kDim, PrefillLayout<kDim>::kRows>(work, unit);
  }
}

template <class E, int kDim>
__global__ void __launch_bounds__(kAttentionThreads, promised_blocks(kDim))
    prefill_kernel(const __grid_constant__ AttentionWork work) {
  using Layout = PrefillLayout<kDim>;
  Layout& shared = shared_memory<Layout>();
  dependency_wait();
  const int32_t units = work.plan.header->units[kPrefillKernel];
  int32_t index = static_cast<int32_t>(blockIdx.x);
  while (index < units) {
    const Unit& unit = shared.unit;
    take_unit(work, kPrefillKernel, Layout::kRows, index, shared.unit);
    for (int32_t i = 0; i < Layout::kBlocks - 1; ++i) load_block(work, unit, shared, i);
    load_queries<kDim, Layout::kRows>(work, unit, shared.queries, shared.positions);
    if (work.is_invariant) clear_run(work, shared_memory<PrefillRunLayout<kDim>>());
    RowState<kDim, Layout::kTiles> state;
    state.clear();
    attend_unit<E>(work, unit, shared, state);
    finish_unit<E>(work, unit, shared, state);
    index = next_unit(work, kPrefillKernel, shared.word);
  }
}

}  // namespace

cudaError_t prepare_prefill(bool is_bf16,
                            bool is_invariant,
                            int64_t shared_limit,
                            AttentionFits& fits) {
  cudaError_t error = cudaSuccess;
  for (const int32_t width : kAttentionWidths) {
    const cudaError_t failed = for_width(width, [&]<int kDim>() {
      constexpr AttentionInstance kListed = listed_instance(kPrefillKernel, kDim);
      static_assert(sizeof(PrefillFoldLayout<kDim>) == kListed.shared_bytes);
      static_assert(sizeof(PrefillRunLayout<kDim>) == kListed.lean_bytes);
      static_assert(sizeof(PrefillLayout<kDim>) == choose_fit(kListed, false, 0).shared_bytes);
      static_assert(kListed.lean_bytes <= kMinSharedBytes);
      const auto kernel = is_bf16 ? prefill_kernel<Bf16, kDim> : prefill_kernel<Fp16, kDim>;
      return prepare_instance(kernel, kListed, is_invariant, shared_limit, fits);
    });
    if (error == cudaSuccess) error = failed;
  }
  return error;
}

void launch_prefill(CudaQueue& queue,
                    const AttentionWork& work,
                    int32_t stored_dim,
                    bool is_bf16,
                    const AttentionFit& fit) {
  LaunchConfig config;
  config.grid = dim3(static_cast<unsigned>(launch_blocks(fit, queue.num_blocks())));
  config.block = dim3(kAttentionThreads);
  config.shared_bytes = fit.shared_bytes;
  for_width(stored_dim, [&]<int kDim>() {
    launch(queue,
           "attention_prefill",
           is_bf16 ? prefill_kernel<Bf16, kDim> : prefill_kernel<Fp16, kDim>,
           config,
           work);
  });
}

}  // namespace trireme::cuda
