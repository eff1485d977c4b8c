// How the work of one attention class is distributed over blocks in a step. Rows of a segment that
// read one KV head are packed: packed row p is token p / group of the segment and query head p %
// group of the KV head. Packed rows are divided into tiles, and the pages that a tile sees into
// splits; a *unit* is one (segment, KV head, split, tile), processed by one block.
//
// The planner is one block on the device. It assigns each segment to the decode kernel (one row, or
// few packed rows: 16 per tile, the warps of a block on different pages) or to the prefill kernel
// (64 or 128 per tile, all warps on the same page), chooses the splits that fill the budget of
// blocks, and writes every unit complete (PlannedUnit): in each layer a block reads these 64 bytes
// and computes nothing before its first copies. A tile with several splits leaves partials (m, l, O
// in fp32, of its real rows only) in fixed places of the workspace; the block that arrives last
// folds them in the order of their pages. So no bit depends on which block computes what, or when.
//
// Invariant mode: tokens are divided into *cuts* at absolute multiples of kCutTokens. The result of
// a row for one cut, (m, l, O), is a chain over the cut's pages that no other row takes part in;
// the cuts are folded left to right from the identity (-inf, 0, 0). Both kernels use the same page
// step (attention_tile.h) and the same fold; a page or cut of which a row sees nothing is exactly
// the identity; and a block that does not start at the row's first cut writes one partial per cut.
// So the bits of a row depend on its q and its pages alone. In the fast mode a split may begin at
// any page and a decode unit distributes its pages over its warps: the order of the sums follows
// the plan.
#pragma once

#include <cstdint>

#include "base/cuda_memory.h"
#include "kernels/backend.h"
#include "kernels/cuda/cuda_queue.h"
#include "kernels/cuda/device_fit.h"
#include "kernels/cuda/page_image.h"

namespace trireme::cuda {

constexpr int32_t kTileRows = kCudaTileRows;  // rows of an mma tile and of a decode unit
constexpr int32_t kAttentionWarps = 4;
constexpr int32_t kAttentionThreads = 32 * kAttentionWarps;
constexpr int32_t kCutTokens = 256;
constexpr int32_t kCutPages = kCutTokens / kPageTokens;

// Maximum packed rows of a segment with several rows that the decode kernel takes: two tiles read K
// and V twice, the second time from L2. Segments with more go to the prefill kernel.
constexpr int32_t kMaxDecodeRows = 32;

constexpr int32_t prefill_rows(int32_t stored_dim) { return cuda_prefill_rows(stored_dim); }

// Bytes of a row of a partial: O, m and l.
constexpr int64_t partial_row_bytes(int32_t stored_dim) { return (stored_dim + 2) * 4; }
// Bytes of the accumulated O of a prefill block.
constexpr int32_t run_bytes(int32_t stored_dim) {
  return prefill_rows(stored_dim) * stored_dim * 4;
}
// Bytes of all partials of a launch. At width 128 these are 64,527 rows, or 4,032 full tiles of the
// decode kernel: 30 per block of a large GPU.
constexpr int64_t kPartialBytes = int64_t{32} << 20;

// Blocks of a launch. If they keep O in the workspace, half of it is left to the partials.
constexpr int32_t launch_blocks(const AttentionFit& fit, int32_t num_blocks) {
  const int64_t blocks = int64_t{num_blocks} * fit.blocks_per_sm;
  int64_t max_blocks = kCudaAttentionBlocks;
  if (fit.run_bytes > 0 && kPartialBytes / 2 / fit.run_bytes < max_blocks) {
    max_blocks = kPartialBytes / 2 / fit.run_bytes;
  }
  return static_cast<int32_t>(blocks < max_blocks ? blocks : max_blocks);
}
// Maximum rows of all partials beside `runs` bytes of O of prefill blocks.
constexpr int32_t max_partial_rows(int32_t stored_dim, int64_t runs) {
  return static_cast<int32_t>((kPartialBytes - runs) / partial_row_bytes(stored_dim));
}
// Maximum split tiles of a step over all KV heads and both kernels, and their units; each tile has
// an arrival counter.
constexpr int32_t kMaxSplitTiles = kCudaSplitTiles;
constexpr int32_t kMaxSplitUnits = kCudaSplitUnits;

// A unit as the planner writes it: rows [first_row, first_row + num_rows) of the packed rows of a
// segment and KV head, and pages [first_page, end_page).
struct alignas(16) PlannedUnit {
  int32_t head;
  int32_t slot;           // row of the page table
  int32_t first_token;    // of the segment, as a row of the batch
  int32_t first_row;      // packed
  int32_t num_rows;       // packed, at most those of a tile; 0: a block without a unit
  int32_t base_position;  // of packed row 0
  int32_t context;        // tokens with K and V: up to the segment's last row
  int32_t first_page;
  int32_t end_page;
  int32_t split;
  int32_t splits;             // of the tile
  int32_t partials;           // of the tile, each of num_rows rows; 0 if it has one split
  int32_t partial;            // the first of this unit, counted from the tile's first
  int32_t first_partial_row;  // of the tile's partials, one after another
  int32_t counter;            // of the tile's arrivals
  int32_t units;              // of the kernel; those beyond the grid are taken by ticket
};
static_assert(sizeof(PlannedUnit) == kCudaPlannedUnitBytes);

// The planner's decision for one segment; only the planner reads it.
struct SegmentShare {
  int32_t kernel;
  int32_t tiles;       // per KV head; 0: nothing to do
  int32_t splits;      // per tile
  int32_t first_page;  // [first_page, end_page): the pages that any row of the
                       // segment sees
  int32_t end_page;
  int32_t partials;  // per tile; 0 if it has one split
  int32_t first_unit;
  int32_t rows;  // packed, per KV head
  int32_t first_partial_row;
  int32_t first_counter;
  int32_t unused[2];
};
static_assert(sizeof(SegmentShare) == kCudaSegmentShareBytes);

struct PlanHeader {
  int32_t units[2];  // by kernel
  // Units beyond the grid are taken by ticket; the last block to finish resets both counters to
  // zero.
  uint32_t tickets[2];
  uint32_t finished[2];
  int32_t unused[10];
};
static_assert(sizeof(PlanHeader) == kCudaPlanHeaderBytes);

// The arrays in the memory of an AttentionPlan.
struct PlanView {
  PlanHeader* header;
  uint32_t* counters;  // [kMaxSplitTiles] arrivals, zero between launches
  // [max_units]: those of the prefill kernel from the front, those of the decode kernel from the
  // back; then the empty units of blocks without one.
  PlannedUnit* units;
  SegmentShare* shares;  // [num_segments]
  int32_t* ends[2];      // by kernel [num_segments]: inclusive prefix sum of units
  int32_t num_segments;
  int32_t max_units;

  constexpr PlannedUnit* unit(int32_t kernel, int32_t index) const {
    return units + (kernel == kPrefillKernel ? index : max_units - 1 - index);
  }
};

inline PlanView plan_view(const AttentionPlan& plan,
                          const BatchView& batch,
                          const HeadShape& shape) {
  PlanView view;
  view.num_segments = batch.num_segments;
  view.max_units = static_cast<int32_t>(cuda_attention_units(batch.num_tokens,
                                                             batch.num_segments,
                                                             shape.num_heads,
                                                             shape.num_kv_heads,
                                                             stored_dim(shape.head_dim)));
  view.header = reinterpret_cast<PlanHeader*>(plan.data);
  view.counters = reinterpret_cast<uint32_t*>(view.header + 1);
  view.units = reinterpret_cast<PlannedUnit*>(view.counters + kMaxSplitTiles);
  view.shares = reinterpret_cast<SegmentShare*>(view.units + view.max_units);
  view.ends[kPrefillKernel] = reinterpret_cast<int32_t*>(view.shares + batch.num_segments);
  view.ends[kDecodeKernel] = view.ends[kPrefillKernel] + batch.num_segments;
  return view;
}

// Arguments of the planner; equal for every step of a key.
struct PlanArguments {
  const int32_t* positions = nullptr;
  const int32_t* slots = nullptr;
  const int32_t* segment_starts = nullptr;
  int32_t group = 1;
  int32_t num_kv_heads = 1;
  int32_t window = 0;
  int32_t prefill_rows = 128;
  int32_t max_partial_rows = 0;
  int32_t blocks[2] = {1, 1};  // per launch, by kernel
  int32_t has_prefill = 1;     // 0: the decode kernel takes every segment
  int32_t is_invariant = 0;
};

// Whether the prefill kernel runs. A step with one row per segment (decodes only) is the decode
// kernel's alone. A padded mixed step may have as many segments, most of them empty, as rows.
inline bool has_prefill(const BatchView& batch) {
  return batch.is_mixed || batch.num_tokens > batch.num_segments;
}

// `fits`: by kernel, for the spec's stored width.
PlanArguments plan_arguments(const BatchView& batch,
                             const AttentionSpec& spec,
                             const AttentionFit (&fits)[2],
                             int32_t num_blocks,
                             bool is_invariant);
void launch_planner(CudaQueue& queue, const PlanView& plan, const PlanArguments& arguments);

}  // namespace trireme::cuda
