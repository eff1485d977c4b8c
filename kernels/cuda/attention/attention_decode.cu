// Attention of segments with one row or few: out = softmax(scale q K^T) V over the pages that a row
// sees.
//
// Layout: a block takes 16 packed rows, so that K and V are read once for the query heads of a
// group, and a range of pages. Each of its four warps processes pages of its own through its own
// ring, with 16 tokens of K or V per stage; the warps meet only to fold. Fast mode: warp w takes
// every fourth page; the four results are folded in warp order. Invariant mode: warp w takes every
// fourth cut of 256 tokens; the block with the first cut of a tile folds cut after cut, the other
// blocks write one partial per cut. Partials, in shared memory and in the workspace, have the
// tile's real rows only: with four query heads per KV head, a quarter of its 16.
//
// Bound: bytes, 4 dim per token and KV head. One warp per scheduler hides no latency of another, so
// instructions count: a page of width 128 takes about 1,000 per warp, 128 of them products, and its
// loop waits for no load that the same page issued. At least three quarters of a 128 KiB ring are
// in flight; where a block has only 99 KiB, at least half of 64 KiB. Share of peak: not yet
// measured.
#include "kernels/cuda/attention/attention_launch.h"
#include "kernels/cuda/attention/attention_partial.h"
#include "kernels/cuda/launch.h"

namespace trireme::cuda {

namespace {

constexpr int32_t kStageTokens = 16;
constexpr int32_t kRingBytes = 32768;                         // per warp
constexpr int32_t kRoundPages = kAttentionWarps * kCutPages;  // a cut per warp (invariant mode)
constexpr uint32_t kStagesOfPage = 2 * kPageTokens / kStageTokens;  // K, then V

// Shared memory of a block; the rings of its warps follow.
template <int kDim>
struct DecodeLayout {
  alignas(128) unsigned char queries[kTileRows * row_bytes<kDim>()];
  float4 run[kTileRows * row_chunks<kDim>()];  // result of the previous rounds: O,
  float2 run_sums[2][kTileRows];               // m and l, after an even or odd number of rounds
  RowPlace places[kTileRows];
  int32_t positions[kTileRows];
  Unit unit;
  int32_t word[4];
};

// The ring of a warp; between rounds its first bytes hold the warp's partial. The short variant is
// for devices whose blocks have less shared memory.
template <int kDim>
struct DecodeRing {
  static constexpr int32_t kStageBytes = kStageTokens * row_bytes<kDim>();
  static constexpr int32_t kStages = kRingBytes / kStageBytes;
  static constexpr int32_t kShortStages =
      (kMinSharedBytes - sizeof(DecodeLayout<kDim>)) / (kAttentionWarps * kStageBytes);
  static_assert(kShortStages >= 2 && kShortStages < kStages);

  // Bytes from one warp's ring to the next.
  static constexpr int32_t pitch(int32_t stages) {
    constexpr int32_t kPartBytes = (sizeof(SharedPartial<kDim>) + 127) / 128 * 128;
    return stages * kStageBytes > kPartBytes ? stages * kStageBytes : kPartBytes;
  }
  static constexpr int32_t block_bytes(int32_t stages) {
    return sizeof(DecodeLayout<kDim>) + kAttentionWarps * pitch(stages);
  }

  static __device__ __forceinline__ int32_t stages(const AttentionWork& work) {
    return work.has_short_ring ? kShortStages : kStages;
  }
  static __device__ __forceinline__ unsigned char* of_warp(const AttentionWork& work,
                                                           DecodeLayout<kDim>& shared,
                                                           int32_t warp) {
    const int32_t bytes = work.has_short_ring ? pitch(kShortStages) : pitch(kStages);
    return reinterpret_cast<unsigned char*>(&shared + 1) + warp * bytes;
  }
  static __device__ __forceinline__ SharedPartial<kDim>& part(const AttentionWork& work,
                                                              DecodeLayout<kDim>& shared,
                                                              int32_t warp) {
    return *reinterpret_cast<SharedPartial<kDim>*>(of_warp(work, shared, warp));
  }
  // Waits until the oldest pending stage has arrived.
  static __device__ __forceinline__ void wait(const AttentionWork& work) {
    if (work.has_short_ring) {
      copy_async_wait<kShortStages - 2>();
    } else {
      copy_async_wait<kStages - 2>();
    }
  }
  // Waits until the group of copies before a full ring of stages but one has arrived.
  static __device__ __forceinline__ void wait_before(const AttentionWork& work) {
    if (work.has_short_ring) {
      copy_async_wait<kShortStages - 1>();
    } else {
      copy_async_wait<kStages - 1>();
    }
  }
};

// The pages of a warp in a round: begin, begin + step, ... below end.
struct PageList {
  int32_t begin;
  int32_t end;
  int32_t step;
};

// Loads the stages of a warp's pages into its ring, one per call.
template <int kDim>
struct StageLoader {
  using Ring = DecodeRing<kDim>;
  const AttentionWork& work;
  const Unit& unit;
  unsigned char* ring;
  PageList list;
  int32_t page;
  uint32_t part;  // of the page: kStagesOfPage
  int32_t slot;
  int32_t next_id;  // id of the next page, read one page ahead
  const unsigned char* block;

  __device__ __forceinline__ StageLoader(const AttentionWork& work,
                                         const Unit& unit,
                                         unsigned char* ring)
      : work(work), unit(unit), ring(ring) {}

  // Begins a list of pages. The id of the first is then on its way.
  __device__ __forceinline__ void begin(const PageList& pages) {
    list = pages;
    page = list.begin;
    part = 0;
    slot = 0;
    next_id = list.begin < list.end ? unit.pages[list.begin] : 0;
    block = unit.kv;
  }

  __device__ __forceinline__ void load() {
    if (page < list.end) {
      if (part == 0) {
        block = unit.kv + int64_t{next_id} * work.page_stride;
        if (page + list.step < list.end) next_id = unit.pages[page + list.step];
      }
      copy();
      part = part + 1 == kStagesOfPage ? 0 : part + 1;
      if (part == 0) page += list.step;
    }
    copy_async_commit();
    slot = slot + 1 == Ring::stages(work) ? 0 : slot + 1;
  }
  // Fills all stages of the ring but one.
  __device__ __forceinline__ void fill() {
#pragma unroll 1
    for (int i = 0; i < Ring::stages(work) - 1; ++i) load();
  }
  // The loader runs a whole ring ahead of the reader, so the slot to fill next is the oldest one.
  __device__ __forceinline__ const unsigned char* oldest() const {
    return ring + slot * Ring::kStageBytes;
  }

 private:
  // Copies one stage. Per lane there is one source and one target address; the chunks lie at
  // constant offsets from them.
  __device__ __forceinline__ void copy() {
    constexpr int32_t kUnit = swizzle_unit(kDim);
    constexpr int32_t kUnitChunks = kStageTokens * kUnit / 16;  // of the tokens of a stage
    static_assert(kUnitChunks % 32 == 0 && Ring::kStageBytes % (16 * 32) == 0);
    const int32_t lane = threadIdx.x % 32;
    const auto first_token = static_cast<int32_t>(part % (kStagesOfPage / 2) * kStageTokens);
    const unsigned char* from = block + first_token * kUnit + lane * 16;
    if (part >= kStagesOfPage / 2) from += work.v_offset;
    unsigned char* to = ring + slot * Ring::kStageBytes + lane * 16;
    const int32_t tokens = unit.context - page * kPageTokens - first_token - lane * 16 / kUnit;
#pragma unroll
    for (int j = 0; j < Ring::kStageBytes / 16 / 32; ++j) {
      const int32_t in_unit = j * 32 % kUnitChunks;
      copy_async_16(to + j * 512,
                    from + j * 32 / kUnitChunks * (kPageTokens * kUnit) + in_unit * 16,
                    in_unit * 16 / kUnit < tokens ? 16 : 0);
    }
  }
};

// q as A operands of the mma; kept in registers for widths up to 128.
template <int kDim>
struct QueryOperands {
  static constexpr bool kIsKept = kDim <= 128;
  uint32_t kept[kIsKept ? kDim / 16 : 1][4];
  const unsigned char* queries;

  __device__ __forceinline__ explicit QueryOperands(const unsigned char* queries)
      : queries(queries) {
    if constexpr (kIsKept) {
#pragma unroll
      for (int k = 0; k < kDim / 16; ++k) load(kept[k], k);
    }
  }
  template <class E>
  __device__ __forceinline__ void score(float (&s0)[4],
                                        float (&s1)[4],
                                        const unsigned char* keys) const {
    const int32_t key = lane_offset_b<kDim>();
#pragma unroll
    for (int k = 0; k < kDim / 16; ++k) {
      uint32_t b[4];
      load_matrices(b, keys + chunk_at<kDim, kStageTokens>(key, 0, k));
      if constexpr (kIsKept) {
        multiply_pair<E>(s0, s1, kept[k], b);
      } else {
        uint32_t a[4];
        load(a, k);
        multiply_pair<E>(s0, s1, a, b);
      }
    }
  }

 private:
  __device__ __forceinline__ void load(uint32_t (&a)[4], int32_t step) const {
    load_matrices(a, queries + chunk_at<kDim, kTileRows>(lane_offset_a<kDim>(), 0, step));
  }
};

// Adds the loader's pages, whose first stages are under way, to the state of the unit's rows;
// afterwards l is complete. Called by one warp.
template <class E, int kDim>
__device__ __forceinline__ void attend_pages(const AttentionWork& work,
                                             StageLoader<kDim>& loader,
                                             const int32_t* positions,
                                             const QueryOperands<kDim>& queries,
                                             RowState<kDim, 1>& state) {
  using Ring = DecodeRing<kDim>;
  const PageList list = loader.list;
  const int32_t window = work.rule.window;
  const int32_t first = positions[0], last = positions[kTileRows - 1];
  const auto next_stage = [&] {
    Ring::wait(work);
    __syncwarp();
    loader.load();
    return loader.oldest();
  };
#pragma unroll 1
  for (int32_t page = list.begin; page < list.end; page += list.step) {
    const int32_t token = page * kPageTokens;
    PageScores<1> scores;
    scores.clear();
#pragma unroll
    for (int step = 0; step < kPageTokens / kStageTokens; ++step) {
      queries.template score<E>(scores.s[0][2 * step], scores.s[0][2 * step + 1], next_stage());
    }
    if (work.rule.cap_factor > 0) cap_scores(scores, work.rule.cap_factor);
    if (token + kPageTokens - 1 > first || last - token >= window) {
      mask_scores(scores, positions, token, window);
    }
    soften(scores, state, work.rule.factor);
    PageWeights<1> weights;
    weights.template pack<E>(scores);
#pragma unroll
    for (int step = 0; step < kPageTokens / kStageTokens; ++step) {
      add_values<E, kDim, 1, kStageTokens>(state, weights, next_stage(), step, 0);
    }
  }
  copy_async_wait<0>();
  __syncwarp();
  state.l[0][0] = quad_sum(state.l[0][0]);
  state.l[0][1] = quad_sum(state.l[0][1]);
}

// Page at which the unit's first round starts.
__device__ __forceinline__ int32_t first_round(const AttentionWork& work, const Unit& unit) {
  return work.is_invariant ? unit.first_page / kCutPages * kCutPages : unit.first_page;
}

// The pages of this warp in the round that starts at page `begin`.
__device__ __forceinline__ PageList pages_of_warp(const AttentionWork& work,
                                                  const Unit& unit,
                                                  int32_t begin) {
  const int32_t warp = static_cast<int32_t>(threadIdx.x / 32);
  if (!work.is_invariant) return {begin + warp, unit.end_page, kAttentionWarps};
  const int32_t cut = begin + warp * kCutPages;
  const int32_t end = cut + kCutPages;
  return {
      cut > unit.first_page ? cut : unit.first_page, end < unit.end_page ? end : unit.end_page, 1};
}

// Folds the partials of the four warps, of the round that starts at page `begin`, into the result
// of the previous rounds, and writes it: after the last round to the output or as the unit's
// partial.
template <class E, int kDim>
__device__ __forceinline__ void fold_round(const AttentionWork& work,
                                           const Unit& unit,
                                           DecodeLayout<kDim>& shared,
                                           int32_t begin) {
  constexpr int32_t kRowChunks = row_chunks<kDim>();
  const int32_t round = (begin - first_round(work, unit)) / kRoundPages;
  const bool is_last = !work.is_invariant || begin + kRoundPages >= unit.end_page;
  const PartialView own = partial_of<kDim>(work, unit, unit.partial);
  float2* sums = shared.run_sums[round % 2];
  __syncthreads();  // the warps have written their partials
#pragma unroll 1
  for (int32_t chunk = threadIdx.x; chunk < unit.num_rows * kRowChunks;
       chunk += kAttentionThreads) {
    const int32_t row = chunk / kRowChunks, column = chunk % kRowChunks;
    FoldedChunk folded;
    folded.clear();
    if (round > 0) folded = {shared.run[chunk], sums[row]};
    float4 o[kAttentionWarps];
    float2 warp_sums[kAttentionWarps];
#pragma unroll
    for (int32_t warp = 0; warp < kAttentionWarps; ++warp) {
      const SharedPartial<kDim>& part = DecodeRing<kDim>::part(work, shared, warp);
      o[warp] = part.o[row * shared_row_chunks<kDim>() + column];
      warp_sums[warp] = part.sums[row];
    }
#pragma unroll
    for (int32_t warp = 0; warp < kAttentionWarps; ++warp) folded.fold(o[warp], warp_sums[warp]);
    if (!is_last) {
      shared.run[chunk] = folded.o;
      if (column == 0) shared.run_sums[(round + 1) % 2][row] = folded.sums;
    } else if (unit.splits == 1) {
      write_chunk<E>(work, shared.places[row], column * 4, folded);
    } else {
      store_grid(&own.o[chunk], folded.o);
      if (column == 0) store_grid(&own.sums[row], folded.sums);
    }
  }
  if (!is_last) __syncthreads();  // the partials have been read
}

// All rounds of a unit. A block that folds ends with rows of the output or with the unit's partial;
// one that does not (invariant mode, not the tile's first unit) writes one partial per cut.
template <class E, int kDim>
__device__ __forceinline__ void attend_unit(const AttentionWork& work,
                                            const Unit& unit,
                                            DecodeLayout<kDim>& shared) {
  const bool folds = !work.is_invariant || unit.split == 0;
  const auto warp = static_cast<int32_t>(threadIdx.x / 32);
  // The id of the first page is on its way while the rows are placed, K and V while q is.
  int32_t begin = first_round(work, unit);
  StageLoader<kDim> loader(work, unit, DecodeRing<kDim>::of_warp(work, shared, warp));
  loader.begin(pages_of_warp(work, unit, begin));
  place_rows<kTileRows>(work, unit, shared.places, shared.positions);
  __syncthreads();
  load_queries<kDim, kTileRows>(work, unit, shared.places, shared.queries);
  copy_async_commit();
  loader.fill();
  DecodeRing<kDim>::wait_before(work);
  __syncthreads();
#pragma unroll 1
  while (true) {
    RowState<kDim, 1> state;
    state.clear();
    attend_pages<E>(work, loader, shared.positions, QueryOperands<kDim>(shared.queries), state);
    if (folds) {
      SharedPartial<kDim>& part = DecodeRing<kDim>::part(work, shared, warp);
      write_partial<kDim, shared_row_chunks<kDim>()>(
          {part.o, part.sums}, state, 0, 0, unit.num_rows);
      fold_round<E>(work, unit, shared, begin);
    } else if (begin + warp * kCutPages < unit.end_page) {
      const int32_t cut = (begin - unit.first_page) / kCutPages + warp;
      const PartialView partial = partial_of<kDim>(work, unit, unit.partial + cut);
      write_partial<kDim, row_chunks<kDim>()>(partial, state, 0, 0, unit.num_rows);
    }
    begin += kRoundPages;
    if (!work.is_invariant || begin >= unit.end_page) return;
    loader.begin(pages_of_warp(work, unit, begin));
    loader.fill();
  }
}

template <class E, int kDim>
__global__ void __launch_bounds__(kAttentionThreads, 1)
    decode_kernel(const __grid_constant__ AttentionWork work) {
  DecodeLayout<kDim>& shared = shared_memory<DecodeLayout<kDim>>();
  dependency_wait();
  const Unit& unit = shared.unit;
  bool has_unit = take_first(work, kDecodeKernel, shared.unit);
  while (has_unit) {
    attend_unit<E>(work, unit, shared);
    if (unit.splits > 1 && arrives_last(work, unit, shared.word)) {
      write_folded<E, kDim>(work, unit, shared.places);
    }
    has_unit = take_next(work, kDecodeKernel, shared.word, shared.unit);
  }
}

struct DecodeInstances {
  static constexpr AttentionKernel kKernel = kDecodeKernel;
  static constexpr const char* kName = "attention_decode";
  template <int kDim>
  static auto of_type(bool is_bf16) {
    return is_bf16 ? decode_kernel<Bf16, kDim> : decode_kernel<Fp16, kDim>;
  }
  template <int kDim>
  static constexpr bool is_listed(const AttentionInstance& listed) {
    using Ring = DecodeRing<kDim>;
    return Ring::block_bytes(Ring::kStages) == listed.shared_bytes &&
           Ring::block_bytes(Ring::kShortStages) == listed.lean_bytes;
  }
};

}  // namespace

cudaError_t prepare_decode(bool is_bf16,
                           bool is_invariant,
                           int64_t shared_limit,
                           AttentionFits& fits) {
  return prepare_instances<DecodeInstances>(is_bf16, is_invariant, shared_limit, fits);
}

void launch_decode(CudaQueue& queue,
                   const AttentionWork& work,
                   int32_t stored_dim,
                   bool is_bf16,
                   const AttentionFit& fit) {
  launch_instance<DecodeInstances>(queue, work, stored_dim, is_bf16, fit);
}

}  // namespace trireme::cuda
