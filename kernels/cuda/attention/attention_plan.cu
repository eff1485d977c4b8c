// The planner of attention: one block per step and attention class. Reads the first and last
// position of each segment; decides its share of the work, then writes every unit and, for blocks
// without a unit, empty ones.
//
// Length of a decode unit: 32 candidates, one warp each, in a geometric series from "no tile is
// split" down to 1/181 of the longest context. The estimated time of a candidate is (waves of
// blocks) x (pages of a unit + kUnitCost); the minimum wins, among equals the longer unit.
//
// Layout: PlanView. Bound: latency, some microseconds. Share of peak: not yet measured.
#include "kernels/cuda/arch.h"
#include "kernels/cuda/attention/attention_plan.h"
#include "kernels/cuda/launch.h"

namespace trireme::cuda {

namespace {

constexpr int32_t kCandidates = 32;
constexpr int32_t kPlannerThreads = 32 * kCandidates;
// Starting a unit, merging its warps and folding its partial takes about as long as reading this
// many pages of width 128 (3 to 4 us at an SM's share of the memory bandwidth); not yet measured.
constexpr int32_t kUnitCost = 4;
// Minimum pages of a split of a prefill tile. (A decode unit has at min_length one page per warp.)
constexpr int32_t kMinSplitPages = 8;

struct PlannerLayout {
  int32_t longest;        // pages, or cuts, of a decode segment
  int32_t prefill_tiles;  // per KV head
  int32_t cost[kCandidates];
  int32_t length[kCandidates];
  int32_t chosen;  // maximum length of a decode unit: in pages, or in cuts of
                   // kCutPages pages
  int32_t prefill_splits;
};

__device__ __forceinline__ int32_t ceil_div(int32_t value, int32_t unit) {
  return (value + unit - 1) / unit;
}

__device__ __forceinline__ int32_t warp_sum(int32_t value) {
  for (int32_t distance = 16; distance > 0; distance /= 2) {
    value += __shfl_xor_sync(0xffffffffu, value, distance);
  }
  return value;
}

// Length of a decode segment in the units it is split by: pages (fast) or cuts (invariant).
__device__ __forceinline__ int32_t grains(const PlanArguments& a, const SegmentShare& share) {
  if (!a.is_invariant) return share.end_page - share.first_page;
  return ceil_div(share.end_page, kCutPages) - share.first_page / kCutPages;
}

__device__ SegmentShare classify(const PlanArguments& a, int32_t segment) {
  SegmentShare share = {};
  const int32_t first = a.segment_starts[segment], end = a.segment_starts[segment + 1];
  if (end <= first || a.slots[first] < 0) return share;
  const int32_t rows = (end - first) * a.group;
  const bool is_decode = !a.has_prefill || end - first == 1 || rows <= kMaxDecodeRows;
  const int32_t seen = a.window > 0 ? a.positions[first] - a.window + 1 : 0;
  share.kernel = is_decode ? kDecodeKernel : kPrefillKernel;
  share.tiles = ceil_div(rows, is_decode ? kTileRows : a.prefill_rows);
  share.splits = 1;
  share.rows = rows;
  share.first_page = (seen > 0 ? seen : 0) / kPageTokens;
  share.end_page = a.positions[end - 1] / kPageTokens + 1;
  return share;
}

__device__ __forceinline__ int32_t decode_partials(const PlanArguments& a,
                                                   int32_t grains,
                                                   int32_t length) {
  if (grains <= length) return 0;
  return a.is_invariant ? 1 + grains - length : ceil_div(grains, length);
}

// Sets the splits of a decode tile whose units have `length` grains, and the slots they fill.
__device__ __forceinline__ void split_decode(const PlanArguments& a,
                                             int32_t length,
                                             SegmentShare& share) {
  const int32_t count = grains(a, share);
  share.splits = ceil_div(count, length);
  share.partials = decode_partials(a, count, length);
}

// Room for split tiles, besides those of the prefill kernel.
struct SplitRoom {
  int32_t units;
  int32_t partial_rows;
  int32_t counters;
};

// Estimated time of units of `length` grains; INT32_MAX if their partials do not fit. Called by one
// warp.
__device__ int32_t cost_of(const PlanArguments& a,
                           const PlanView& plan,
                           int32_t length,
                           const SplitRoom& room) {
  const int32_t lane = threadIdx.x % 32;
  int32_t units = 0, split_units = 0, counters = 0;
  int64_t partial_rows = 0;
  for (int32_t segment = lane; segment < plan.num_segments; segment += 32) {
    SegmentShare share = plan.shares[segment];
    if (share.tiles == 0 || share.kernel != kDecodeKernel) continue;
    split_decode(a, length, share);
    units += share.tiles * share.splits;
    partial_rows += int64_t{share.rows} * share.partials;
    if (share.splits > 1) {
      split_units += share.tiles * share.splits;
      counters += share.tiles;
    }
  }
  const bool is_too_much = partial_rows > room.partial_rows;
  const int32_t rows = warp_sum(is_too_much ? 0 : static_cast<int32_t>(partial_rows));
  if (__ballot_sync(0xffffffffu, is_too_much) != 0) return INT32_MAX;
  units = warp_sum(units) * a.num_kv_heads;
  split_units = warp_sum(split_units) * a.num_kv_heads;
  counters = warp_sum(counters) * a.num_kv_heads;
  if (int64_t{rows} * a.num_kv_heads > room.partial_rows) return INT32_MAX;
  if (split_units > room.units || counters > room.counters) return INT32_MAX;
  const int32_t pages = a.is_invariant ? length * kCutPages : length;
  return ceil_div(units, a.blocks[kDecodeKernel]) * (pages + kUnitCost);
}

// Splits of a prefill tile: as many as fill the blocks; one under --invariant.
__device__ int32_t prefill_splits(const PlanArguments& a, int32_t tiles) {
  const int32_t units = tiles * a.num_kv_heads;
  if (a.is_invariant || units == 0 || 2 * units > a.blocks[kPrefillKernel]) return 1;
  const int32_t rows = units * a.prefill_rows;
  const int32_t by_blocks = a.blocks[kPrefillKernel] / units;
  const int32_t by_rows = a.max_partial_rows / 2 / rows;  // the other half is for decode
  const int32_t splits = by_blocks < by_rows ? by_blocks : by_rows;
  const bool has_room = units <= kMaxSplitTiles / 2 && units * splits <= kMaxSplitUnits / 2;
  return splits > 1 && has_room ? splits : 1;
}

__device__ void split_prefill(int32_t splits, SegmentShare& share) {
  const int32_t by_pages = (share.end_page - share.first_page) / kMinSplitPages;
  share.splits = splits < by_pages ? splits : by_pages;
  if (share.splits < 1) share.splits = 1;
  share.partials = share.splits > 1 ? share.splits : 0;
}

// The prefix sums: units of either kernel, rows of partials, counters.
constexpr int32_t kSums = 4;
__device__ __forceinline__ int32_t addend(const PlanArguments& a,
                                          const SegmentShare& share,
                                          int32_t sum) {
  const int32_t tiles = share.tiles * a.num_kv_heads;
  if (sum == 2) return share.rows * a.num_kv_heads * share.partials;
  if (sum == 3) return share.splits > 1 ? tiles : 0;
  return share.kernel == sum ? tiles * share.splits : 0;
}

// Computes one prefix sum over the segments. Called by one warp.
__device__ void add_up(const PlanArguments& a, const PlanView& plan, int32_t sum) {
  const int32_t lane = threadIdx.x % 32;
  int32_t before = 0;
  for (int32_t first = 0; first < plan.num_segments; first += 32) {
    const int32_t segment = first + lane;
    const bool is_real = segment < plan.num_segments;
    const int32_t own = is_real ? addend(a, plan.shares[segment], sum) : 0;
    int32_t up_to = own;
    for (int32_t distance = 1; distance < 32; distance *= 2) {
      const int32_t below = __shfl_sync(0xffffffffu, up_to, lane < distance ? 0 : lane - distance);
      if (lane >= distance) up_to += below;
    }
    if (is_real) {
      SegmentShare& share = plan.shares[segment];
      const int32_t start = before + up_to - own;
      if (sum == 2) share.first_partial_row = start;
      if (sum == 3) share.first_counter = start;
      if (sum == kPrefillKernel) plan.ends[kPrefillKernel][segment] = start + own;
      if (sum == kDecodeKernel) plan.ends[kDecodeKernel][segment] = start + own;
      if (sum < 2 && share.kernel == sum) share.first_unit = start;
    }
    before += __shfl_sync(0xffffffffu, up_to, 31);
  }
  if (lane == 0 && sum < 2) plan.header->units[sum] = before;
}

__device__ void classify_all(const PlanArguments& a, const PlanView& plan, PlannerLayout& shared) {
  for (int32_t i = threadIdx.x; i < kMaxSplitTiles; i += kPlannerThreads) plan.counters[i] = 0;
  if (threadIdx.x < 2) {
    plan.header->tickets[threadIdx.x] = 0;
    plan.header->finished[threadIdx.x] = 0;
  }
  for (int32_t i = threadIdx.x; i < plan.num_segments; i += kPlannerThreads) {
    const SegmentShare share = classify(a, i);
    plan.shares[i] = share;
    if (share.tiles == 0) continue;
    if (share.kernel == kDecodeKernel) {
      atomicMax(&shared.longest, grains(a, share));
    } else {
      atomicAdd(&shared.prefill_tiles, share.tiles);
    }
  }
}

__device__ void choose(const PlanArguments& a, const PlanView& plan, PlannerLayout& shared) {
  const int32_t candidate = threadIdx.x / 32;
  const int32_t splits = prefill_splits(a, shared.prefill_tiles);
  const int32_t units = shared.prefill_tiles * a.num_kv_heads;
  SplitRoom room = {kMaxSplitUnits, a.max_partial_rows, kMaxSplitTiles};
  if (splits > 1) {
    room.units -= units * splits;
    room.partial_rows -= units * splits * a.prefill_rows;
    room.counters -= units;
  }
  const int32_t min_length = a.is_invariant ? 1 : kAttentionWarps;
  const float share = exp2_fast(-0.25f * static_cast<float>(candidate));
  int32_t length = static_cast<int32_t>(static_cast<float>(shared.longest) * share) + 1;
  if (candidate == 0) length = shared.longest;
  if (length < min_length) length = min_length;
  const int32_t cost = cost_of(a, plan, length, room);
  if (threadIdx.x % 32 == 0) {
    shared.cost[candidate] = cost;
    shared.length[candidate] = length;
  }
  __syncthreads();
  if (threadIdx.x != 0) return;
  int32_t best = 0;
  for (int32_t i = 1; i < kCandidates; ++i) {
    if (shared.cost[i] < shared.cost[best]) best = i;
  }
  shared.chosen = shared.length[best];
  shared.prefill_splits = splits;
}

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

// count * split / splits, rounded down, without an overflow.
__device__ __forceinline__ int32_t fraction(int32_t count, int32_t split, int32_t splits) {
  return count / splits * split + count % splits * split / splits;
}

// Sets the pages of a unit whose tile sees pages [first, end).
__device__ __forceinline__ void set_pages(const PlanArguments& a,
                                          const SegmentShare& share,
                                          int32_t cuts,
                                          int32_t first,
                                          int32_t end,
                                          PlannedUnit& unit) {
  if (a.is_invariant && share.kernel == kDecodeKernel) {
    const int32_t length = cuts * kCutPages;
    const int32_t base = first / kCutPages * kCutPages + unit.split * length;
    unit.first_page = base > first ? base : first;
    unit.end_page = base + length < end ? base + length : end;
    unit.partial = unit.split == 0 ? 0 : 1 + (unit.split - 1) * cuts;
    return;
  }
  unit.first_page = first + fraction(end - first, unit.split, share.splits);
  unit.end_page = first + fraction(end - first, unit.split + 1, share.splits);
  unit.partial = unit.split;
}

// Unit `local` of a segment. Tiles of one head and split are neighbours in the order of units,
// beginning with the last tile, which sees the most pages.
__device__ PlannedUnit unit_of(
    const PlanArguments& a, const PlanView& plan, int32_t segment, int32_t local, int32_t cuts) {
  const SegmentShare share = plan.shares[segment];
  const int32_t tile_rows = share.kernel == kDecodeKernel ? kTileRows : a.prefill_rows;
  PlannedUnit unit = {};
  const int32_t tile = share.tiles - 1 - local % share.tiles;
  unit.split = local / share.tiles % share.splits;
  unit.splits = share.splits;
  unit.head = local / share.tiles / share.splits;
  unit.first_token = a.segment_starts[segment];
  unit.slot = a.slots[unit.first_token];
  const int32_t end_token = a.segment_starts[segment + 1];
  unit.first_row = tile * tile_rows;
  const int32_t rows = share.rows - unit.first_row;
  unit.num_rows = rows < tile_rows ? rows : tile_rows;
  unit.base_position = a.positions[unit.first_token];
  unit.context = a.positions[end_token - 1] + 1;
  int32_t first = share.first_page, end = share.end_page;
  if (share.kernel == kPrefillKernel) {
    const int32_t row_token = unit.base_position + unit.first_row / a.group;
    const int32_t seen = a.window > 0 ? row_token - a.window + 1 : 0;
    const int32_t last = (unit.first_row + unit.num_rows - 1) / a.group;
    first = (seen > 0 ? seen : 0) / kPageTokens;
    end = (unit.base_position + last) / kPageTokens + 1;
  }
  set_pages(a, share, cuts, first, end, unit);
  const int32_t head_tile = unit.head * share.tiles + tile;
  unit.partials = share.partials;
  unit.first_partial_row =
      share.first_partial_row + (unit.head * share.rows + unit.first_row) * share.partials;
  unit.counter = share.first_counter + head_tile;
  return unit;
}

// Writes the units of one kernel, and an empty one for each block of the launch without a unit.
__device__ void write_units(const PlanArguments& a,
                            const PlanView& plan,
                            int32_t kernel,
                            int32_t cuts) {
  const int32_t lane = threadIdx.x % 32;
  const int32_t units = plan.header->units[kernel];
  const int32_t* ends = plan.ends[kernel];
  for (int32_t first = threadIdx.x - lane; first < units; first += kPlannerThreads) {
    int32_t segment = find_segment(ends, plan.num_segments, first);
    const int32_t index = first + lane;
    if (index >= units) continue;
    while (ends[segment] <= index) ++segment;
    const int32_t local = index - plan.shares[segment].first_unit;
    PlannedUnit unit = unit_of(a, plan, segment, local, cuts);
    unit.units = units;
    *plan.unit(kernel, index) = unit;
  }
  for (int32_t i = units + threadIdx.x; i < a.blocks[kernel]; i += kPlannerThreads) {
    *plan.unit(kernel, i) = {};
  }
}

__global__ void __launch_bounds__(kPlannerThreads) plan_kernel(PlanArguments a, PlanView plan) {
  PlannerLayout& shared = shared_memory<PlannerLayout>();
  dependency_wait();
  if (threadIdx.x == 0) {
    shared.longest = 1;
    shared.prefill_tiles = 0;
  }
  __syncthreads();
  classify_all(a, plan, shared);
  __syncthreads();
  choose(a, plan, shared);
  __syncthreads();
  for (int32_t i = threadIdx.x; i < plan.num_segments; i += kPlannerThreads) {
    SegmentShare& share = plan.shares[i];
    if (share.tiles == 0) continue;
    if (share.kernel == kDecodeKernel) {
      split_decode(a, shared.chosen, share);
    } else {
      split_prefill(shared.prefill_splits, share);
    }
  }
  __syncthreads();
  if (threadIdx.x / 32 < kSums) add_up(a, plan, threadIdx.x / 32);
  __syncthreads();
  if (a.has_prefill) write_units(a, plan, kPrefillKernel, shared.chosen);
  write_units(a, plan, kDecodeKernel, shared.chosen);
}

}  // namespace

PlanArguments plan_arguments(const BatchView& batch,
                             const AttentionSpec& spec,
                             const AttentionFit (&fits)[2],
                             int32_t num_blocks,
                             bool is_invariant) {
  const int32_t width = stored_dim(spec.shape.head_dim);
  PlanArguments a;
  a.positions = batch.positions;
  a.slots = batch.slots;
  a.segment_starts = batch.segment_starts;
  a.group = spec.shape.num_heads / spec.shape.num_kv_heads;
  a.num_kv_heads = spec.shape.num_kv_heads;
  a.window = spec.window;
  a.prefill_rows = prefill_rows(width);
  a.blocks[kPrefillKernel] = launch_blocks(fits[kPrefillKernel], num_blocks);
  a.blocks[kDecodeKernel] = launch_blocks(fits[kDecodeKernel], num_blocks);
  const int64_t run_bytes = int64_t{a.blocks[kPrefillKernel]} * fits[kPrefillKernel].run_bytes;
  a.max_partial_rows = max_partial_rows(width, run_bytes);
  a.has_prefill = has_prefill(batch);
  a.is_invariant = is_invariant;
  return a;
}

void launch_planner(CudaQueue& queue, const PlanView& plan, const PlanArguments& arguments) {
  LaunchConfig config;
  config.block = dim3(kPlannerThreads);
  config.shared_bytes = sizeof(PlannerLayout);
  launch(queue, "plan_attention", plan_kernel, config, arguments, plan);
}

}  // namespace trireme::cuda
