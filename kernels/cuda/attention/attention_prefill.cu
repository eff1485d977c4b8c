// Attention of segments with many rows: out = softmax(scale q K^T) V over the pages that a row
// sees.
//
// Layout: a block of four warps takes 128 packed rows (64 at width 256), 32 (16) per warp. Pages
// come through a ring of blocks in shared memory, K and V alternating, each copied in its stored
// layout by 16 bytes at a time. q stays in shared memory and is read together with K, since O and
// the scores of two tiles fill the registers. Tokens beyond the context are loaded as zeros: their
// weights are zero, but zero times the contents of an unwritten page might be NaN. A warp skips
// pages that none of its rows sees; pages before every row's window are not loaded. In the
// invariant mode the O accumulated over cuts is kept in shared memory or, where a block has only 99
// KiB, in the workspace: one more read and write of it per cut, at most as many bytes as the cut's
// K and V.
//
// Bound: flops, 4 dim per (row, token) pair; each fragment of K or V loaded from shared memory
// serves two products. A page of width 128 takes about 1,060 instructions per warp, 256 of them
// products. Share of peak: not yet measured.
#include "kernels/cuda/attention/attention_launch.h"
#include "kernels/cuda/attention/attention_partial.h"
#include "kernels/cuda/launch.h"

namespace trireme::cuda {

namespace {

// Blocks per SM for which ptxas limits registers (sm_90, 228 KiB); launches ask the device.
constexpr int32_t promised_blocks(int32_t stored_dim) { return stored_dim <= 128 ? 2 : 1; }

template <int kDim>
struct PrefillLayout {
  static constexpr int32_t kRows = prefill_rows(kDim);
  static constexpr int32_t kTiles = kRows / kTileRows / kAttentionWarps;  // per warp
  static constexpr int32_t kBlockBytes = kPageTokens * row_bytes<kDim>();
  static constexpr int32_t kBlocks = kDim <= 128 ? 4 : 2;  // two blocks per SM; one at width 256

  alignas(128) unsigned char ring[kBlocks][kBlockBytes];
  unsigned char queries[kRows * row_bytes<kDim>()];
  int32_t positions[kRows];
  RowPlace places[kRows];
  Unit unit;
  int32_t word[4];
};

// With the *run*, the result accumulated over the finished cuts: m and l by row. Its O, as each
// lane holds it, follows in shared memory or, in the lean variant, lies in the workspace.
template <int kDim>
struct PrefillRunLayout {
  PrefillLayout<kDim> tile;
  float m[PrefillLayout<kDim>::kRows];
  float l[PrefillLayout<kDim>::kRows];
};
template <int kDim>
struct PrefillFoldLayout {
  static constexpr int32_t kFragments = PrefillLayout<kDim>::kTiles * kDim / 8;  // per lane

  PrefillRunLayout<kDim> run;
  float4 o[kFragments * kAttentionThreads];
};

// This thread's fragment 0 of the run's O; further fragments are kAttentionThreads apart.
template <int kDim>
__device__ __forceinline__ float4* run_of_thread(const AttentionWork& work) {
  using Layout = PrefillFoldLayout<kDim>;
  float4* o = work.runs == nullptr
                  ? shared_memory<Layout>().o
                  : work.runs + int64_t{blockIdx.x} * (Layout::kFragments * kAttentionThreads);
  return o + threadIdx.x;
}

// Loads the blocks of the unit's sequence K, V, K, V, ... into the ring, each as one group of
// copies, which is empty past the end. K and V are asked for in turn.
template <int kDim>
struct BlockLoader {
  using Layout = PrefillLayout<kDim>;
  int32_t page;     // the next to load
  int32_t id;       // of the page before it
  int32_t next_id;  // of `page`, read one page ahead

  __device__ __forceinline__ explicit BlockLoader(const Unit& unit)
      : page(unit.first_page), id(0), next_id(unit.pages[unit.first_page]) {}

  __device__ __forceinline__ void load_keys(const AttentionWork& work,
                                            PrefillLayout<kDim>& shared) {
    const Unit& unit = shared.unit;
    id = next_id;
    if (page < unit.end_page) {
      copy(work, shared, page, 0);
      if (page + 1 < unit.end_page) next_id = unit.pages[page + 1];
    }
    ++page;
    copy_async_commit();
  }
  __device__ __forceinline__ void load_values(const AttentionWork& work,
                                              PrefillLayout<kDim>& shared) {
    if (page <= shared.unit.end_page) copy(work, shared, page - 1, 1);
    copy_async_commit();
  }

 private:
  // Copies K (part 0) or V of a page. Per thread there is one source and one target address; the
  // chunks lie at constant offsets from them.
  __device__ __forceinline__ void copy(const AttentionWork& work,
                                       PrefillLayout<kDim>& shared,
                                       int32_t of_page,
                                       int32_t part) {
    constexpr int32_t kRowChunks = swizzle_unit(kDim) / 16;
    constexpr int32_t kPassTokens = kAttentionThreads / kRowChunks;  // of one copy per thread
    const Unit& unit = shared.unit;
    const int32_t block = (of_page - unit.first_page) % (Layout::kBlocks / 2) * 2 + part;
    const unsigned char* from =
        unit.kv + int64_t{id} * work.page_stride + part * work.v_offset + threadIdx.x * 16;
    unsigned char* to = shared.ring[block] + threadIdx.x * 16;
    const int32_t tokens =
        unit.context - of_page * kPageTokens - static_cast<int32_t>(threadIdx.x / kRowChunks);
#pragma unroll
    for (int j = 0; j < Layout::kBlockBytes / 16 / kAttentionThreads; ++j) {
      copy_async_16(to + j * kAttentionThreads * 16,
                    from + j * kAttentionThreads * 16,
                    j * kPassTokens % kPageTokens < tokens ? 16 : 0);
    }
  }
};

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

// The range of positions of a warp's rows, which decides the pages they see.
struct WarpView {
  int32_t first_position;
  int32_t last_position;
  bool is_real;

  __device__ __forceinline__ bool sees(int32_t token, int32_t window) const {
    return is_real && token <= last_position && first_position - (token + kPageTokens - 1) < window;
  }
  // Whether every row sees all of the page that starts at `token`.
  __device__ __forceinline__ bool sees_all(int32_t token, int32_t window) const {
    return token + kPageTokens - 1 <= first_position && last_position - token < window;
  }
};

// The row of this lane in half 0 of tile `t` of its warp.
template <int kTiles>
__device__ __forceinline__ int32_t lane_row(int t) {
  return (threadIdx.x / 32 * kTiles + t) * kTileRows + threadIdx.x % 32 / 4;
}

// Folds the state of the cut that ends here into the run, and clears it. Called by whole warps.
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
    __syncwarp();  // all lanes of the quad have read its rows
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
                                            BlockLoader<kDim>& loader,
                                            RowState<kDim, kTiles>& state) {
  using Layout = PrefillLayout<kDim>;
  const int32_t warp_row = threadIdx.x / 32 * kTiles * kTileRows;
  const int32_t* positions = shared.positions + warp_row;
  const WarpView view = {positions[0], positions[kTiles * kTileRows - 1], warp_row < unit.num_rows};
#pragma unroll 1
  for (int32_t page = unit.first_page; page < unit.end_page; ++page) {
    const int32_t index = 2 * (page - unit.first_page), token = page * kPageTokens;
    const bool sees = view.sees(token, work.rule.window);
    PageWeights<kTiles> weights;
    copy_async_wait<Layout::kBlocks - 2>();
    __syncthreads();
    loader.load_values(work, shared);
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
    loader.load_keys(work, shared);
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
  const int32_t first_row = warp * kTiles * kTileRows;
  if (unit.splits == 1) {
#pragma unroll
    for (int t = 0; t < kTiles; ++t) {
      write_rows<E>(work, unit, shared.places, state, t, first_row + t * kTileRows);
    }
    return;
  }
  const PartialView partial = partial_of<kDim>(work, unit, unit.partial);
#pragma unroll
  for (int t = 0; t < kTiles; ++t) {
    write_partial<kDim, row_chunks<kDim>()>(
        partial, state, t, first_row + t * kTileRows, unit.num_rows);
  }
  if (arrives_last(work, unit, shared.word)) write_folded<E, kDim>(work, unit, shared.places);
}

template <class E, int kDim>
__global__ void __launch_bounds__(kAttentionThreads, promised_blocks(kDim))
    prefill_kernel(const __grid_constant__ AttentionWork work) {
  using Layout = PrefillLayout<kDim>;
  Layout& shared = shared_memory<Layout>();
  dependency_wait();
  const Unit& unit = shared.unit;
  bool has_unit = take_first(work, kPrefillKernel, shared.unit);
  while (has_unit) {
    // The id of the first page is on its way while the rows are placed. The copies of q belong to
    // the group of the first K.
    BlockLoader<kDim> loader(unit);
    place_rows<Layout::kRows>(work, unit, shared.places, shared.positions);
    __syncthreads();
    load_queries<kDim, Layout::kRows>(work, unit, shared.places, shared.queries);
    loader.load_keys(work, shared);
    for (int32_t i = 1; i < Layout::kBlocks / 2; ++i) {
      loader.load_values(work, shared);
      loader.load_keys(work, shared);
    }
    if (work.is_invariant) clear_run(work, shared_memory<PrefillRunLayout<kDim>>());
    RowState<kDim, Layout::kTiles> state;
    state.clear();
    attend_unit<E>(work, unit, shared, loader, state);
    finish_unit<E>(work, unit, shared, state);
    has_unit = take_next(work, kPrefillKernel, shared.word, shared.unit);
  }
}

struct PrefillInstances {
  static constexpr AttentionKernel kKernel = kPrefillKernel;
  static constexpr const char* kName = "attention_prefill";
  template <int kDim>
  static auto of_type(bool is_bf16) {
    return is_bf16 ? prefill_kernel<Bf16, kDim> : prefill_kernel<Fp16, kDim>;
  }
  template <int kDim>
  static constexpr bool is_listed(const AttentionInstance& listed) {
    return int32_t{sizeof(PrefillFoldLayout<kDim>)} == listed.shared_bytes &&
           int32_t{sizeof(PrefillRunLayout<kDim>)} == listed.lean_bytes &&
           int32_t{sizeof(PrefillLayout<kDim>)} == choose_fit(listed, false, 0).shared_bytes;
  }
};

}  // namespace

cudaError_t prepare_prefill(bool is_bf16,
                            bool is_invariant,
                            int64_t shared_limit,
                            AttentionFits& fits) {
  return prepare_instances<PrefillInstances>(is_bf16, is_invariant, shared_limit, fits);
}

void launch_prefill(CudaQueue& queue,
                    const AttentionWork& work,
                    int32_t stored_dim,
                    bool is_bf16,
                    const AttentionFit& fit) {
  launch_instance<PrefillInstances>(queue, work, stored_dim, is_bf16, fit);
}

}  // namespace trireme::cuda
