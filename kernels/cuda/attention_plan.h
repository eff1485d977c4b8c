// How the work of one attention class is shared out in a step. Rows of a segment that read one KV
// head are packed: packed row p is token p / group of the segment and query head p % group of the
// KV head. They are cut into tiles of rows, and the pages a tile sees into splits; a *unit* is one
// (segment, KV head, split, tile), done by one block.
//
// The planner is one block on the device. It deals each segment to the decode kernel (one row, or
// few packed rows: 16 a tile, all warps of a block on different pages) or to the prefill kernel (64
// or 128 a tile, all warps on the same page), and chooses the splits so that the budget of blocks
// is filled. A tile with several splits leaves partials (m, l, O in fp32) in the workspace in fixed
// slots; the block that arrives last folds them in slot order, so who computes what, and when,
// moves no bit.
//
// The invariant mode (D1): the tokens are cut at absolute multiples of kCutTokens. What a row gets
// from one cut, (m, l, O), is a chain over its pages that no other row takes part in; cuts are
// folded left to right from the identity (-inf, 0, 0). Both kernels use the same page step
// (attention_tile.h) and the same fold, a page or cut of which a row sees nothing is exactly the
// identity, and a block that does not start at the row's first cut leaves one partial a cut. So a
// row's bits depend on its q and on its pages alone. In the fast mode a split may begin at any page
// and a decode unit deals its pages to its warps: the order of the sums follows the plan.
#pragma once

#include <cstdint>

#include "base/cuda_memory.h"
#include "kernels/backend.h"
#include "kernels/cuda/cuda_queue.h"
#include "kernels/cuda/device_fit.h"
#include "kernels/cuda/page_image.h"

namespace trireme::cuda {

constexpr int32_t kTileRows = 16;  // rows of an mma tile: of a decode unit and of a partial
constexpr int32_t kAttentionWarps = 4;
constexpr int32_t kAttentionThreads = 32 * kAttentionWarps;
constexpr int32_t kCutTokens = 256;
constexpr int32_t kCutPages = kCutTokens / kPageTokens;

// Packed rows that the decode kernel still takes of a segment with more than one row: two tiles
// read K and V twice, which the second level cache serves; more is the prefill kernel's.
constexpr int32_t kMaxDecodeRows = 32;

// 128 rows let a warp use each loaded K and V fragment for two tiles; the accumulators of width 256
// leave registers for one.
constexpr int32_t prefill_rows(int32_t stored_dim) { return stored_dim <= 128 ? 128 : 64; }

// One partial of 16 rows: O, m and l.
constexpr int64_t partial_bytes(int32_t stored_dim) {
  return int64_t{kTileRows} * (stored_dim + 2) * 4;
}
// The O of a prefill block's rows.
constexpr int32_t run_bytes(int32_t stored_dim) {
  return prefill_rows(stored_dim) * stored_dim * 4;
}
// All partials of a launch. At width 128 these are 4,032 tiles, 30 a block of a large GPU.
constexpr int64_t kPartialBytes = int64_t{32} << 20;

// Blocks of a launch. Those with a run leave half of the workspace to partials.
constexpr int32_t launch_blocks(const AttentionFit& fit, int32_t num_blocks) {
  const int64_t blocks = int64_t{num_blocks} * fit.blocks_per_sm;
  const int64_t most = fit.run_bytes > 0 ? kPartialBytes / 2 / fit.run_bytes : blocks;
  return static_cast<int32_t>(blocks < most ? blocks : most);
}
// The partials that the workspace holds beside `runs` bytes of prefill blocks.
constexpr int32_t max_partials(int32_t stored_dim, int64_t runs) {
  return static_cast<int32_t>((kPartialBytes - runs) / partial_bytes(stored_dim));
}
// Split tiles of a step, all KV heads and both kernels: each has a counter of arrivals.
constexpr int32_t kMaxSplitTiles = kCudaSplitTiles;

// What the planner says of a segment.
struct SegmentShare {
  int32_t kernel;
  int32_t tiles;       // of one KV head; 0: nothing to do
  int32_t splits;      // of a tile
  int32_t first_page;  // [first_page, end_page): what any row of the segment sees
  int32_t end_page;
  int32_t partials;  // slots of a tile; 0 where it has one split
  int32_t first_unit;
  int32_t first_slot;
  int32_t first_counter;
  int32_t unused[3];
};
static_assert(sizeof(SegmentShare) == kCudaSegmentShareBytes);

struct PlanHeader {
  int32_t units[2];  // by kernel
  // Units beyond the grid are taken by ticket; the last block to finish sets both words to zero.
  uint32_t tickets[2];
  uint32_t finished[2];
  // A decode unit's pages: no more than these (fast), or kCutPages times these cuts (invariant).
  int32_t cut;
  int32_t unused;
};
static_assert(sizeof(PlanHeader) == kCudaPlanHeaderBytes);

// The parts of an AttentionPlan's memory.
struct PlanView {
  PlanHeader* header;
  uint32_t* counters;    // [kMaxSplitTiles] arrivals, zero between launches
  SegmentShare* shares;  // [num_segments]
  int32_t* ends[2];      // by kernel [num_segments]: units of the segments up to and with this one
  int32_t num_segments;
};

inline PlanView plan_view(const AttentionPlan& plan, int32_t num_segments) {
  PlanView view;
  view.header = reinterpret_cast<PlanHeader*>(plan.data);
  view.counters = reinterpret_cast<uint32_t*>(view.header + 1);
  view.shares = reinterpret_cast<SegmentShare*>(view.counters + kMaxSplitTiles);
  view.ends[kPrefillKernel] = reinterpret_cast<int32_t*>(view.shares + num_segments);
  view.ends[kDecodeKernel] = view.ends[kPrefillKernel] + num_segments;
  view.num_segments = num_segments;
  return view;
}

// What the planner knows from the host; the same for every step of a key.
struct PlanArguments {
  const int32_t* positions = nullptr;
  const int32_t* slots = nullptr;
  const int32_t* segment_starts = nullptr;
  int32_t group = 1;
  int32_t num_kv_heads = 1;
  int32_t window = 0;
  int32_t prefill_rows = 128;
  int32_t max_partials = 0;
  int32_t blocks[2] = {1, 1};  // of a launch, by kernel
  int32_t has_prefill = 1;     // 0: the decode kernel takes every segment
  int32_t is_invariant = 0;
};

// One row a segment (a decode-only step) is the decode kernel's alone. A padded mixed step may have
// as many segments, most of them empty, as rows.
inline bool has_prefill(const BatchView& batch) {
  return batch.is_mixed || batch.num_tokens > batch.num_segments;
}

// `fits`: by kernel, of the spec's width.
PlanArguments plan_arguments(const BatchView& batch,
                             const AttentionSpec& spec,
                             const AttentionFit (&fits)[2],
                             int32_t num_blocks,
                             bool is_invariant);
void launch_planner(CudaQueue& queue, const PlanView& plan, const PlanArguments& arguments);

}  // namespace trireme::cuda
