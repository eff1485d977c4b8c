// The planner of attention, run on the emulated device: for any batch, budget and mode, every row
// sees each of its pages exactly once.
#include "kernels/cuda/attention/attention_plan.h"

#include <gtest/gtest.h>

#include <map>
#include <random>
#include <set>
#include <vector>

#include "kernels/cuda/attention/attention_launch.h"

namespace trireme::cuda {
namespace {

// Device memory holding a copy of `values`.
template <class T>
class DeviceCopy {
 public:
  explicit DeviceCopy(const std::vector<T>& values) : count_(values.size()) {
    cudaMalloc(reinterpret_cast<void**>(&data_), std::max<size_t>(1, count_) * sizeof(T));
    cudaMemcpy(data_, values.data(), count_ * sizeof(T), cudaMemcpyHostToDevice);
  }
  ~DeviceCopy() { cudaFree(data_); }
  DeviceCopy(const DeviceCopy&) = delete;
  T* data() const { return data_; }
  std::vector<T> read() const {
    std::vector<T> values(count_);
    cudaDeviceSynchronize();
    cudaMemcpy(values.data(), data_, count_ * sizeof(T), cudaMemcpyDeviceToHost);
    return values;
  }

 private:
  T* data_ = nullptr;
  size_t count_;
};

struct PlannedSegment {
  int32_t position;
  int32_t rows;
};

struct PlanCase {
  std::vector<PlannedSegment> segments;
  AttentionSpec spec;
  int32_t num_blocks = 6;
  bool is_invariant = false;
  AttentionFit fits[2] = {{.blocks_per_sm = 2}, {.blocks_per_sm = 1}};  // by kernel
};

struct Planned {
  PlanHeader header;
  std::vector<PlannedUnit> units[2];  // by kernel
  std::vector<PlannedUnit> idle[2];   // of the blocks without a unit
  int32_t max_units;
};

std::unique_ptr<CudaQueue> make_queue(int32_t num_blocks) {
  cudaStream_t stream = nullptr;
  cudaEvent_t event = nullptr;
  cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking);
  cudaEventCreateWithFlags(&event, cudaEventDisableTiming);
  return std::make_unique<CudaQueue>(stream, event, num_blocks);
}

std::vector<PlannedUnit> units_of(const PlanView& plan,
                                  int32_t kernel,
                                  int32_t first,
                                  int32_t end) {
  std::vector<PlannedUnit> units;
  for (int32_t i = first; i < end; ++i) {
    cudaMemcpy(
        &units.emplace_back(), plan.unit(kernel, i), sizeof(PlannedUnit), cudaMemcpyDeviceToHost);
  }
  return units;
}

size_t plan_bytes(const BatchView& batch, const HeadShape& shape) {
  return static_cast<size_t>(cuda_attention_plan_bytes(batch.num_tokens,
                                                       batch.num_segments,
                                                       shape.num_heads,
                                                       shape.num_kv_heads,
                                                       stored_dim(shape.head_dim)));
}

Planned plan_of(const PlanCase& plan_case) {
  std::vector<int32_t> positions, slots, starts = {0};
  for (const PlannedSegment& segment : plan_case.segments) {
    for (int32_t i = 0; i < segment.rows; ++i) positions.push_back(segment.position + i);
    slots.insert(slots.end(), segment.rows, 0);
    starts.push_back(static_cast<int32_t>(positions.size()));
  }
  const DeviceCopy<int32_t> on_device[] = {
      DeviceCopy(positions), DeviceCopy(slots), DeviceCopy(starts)};
  const auto num_segments = static_cast<int32_t>(plan_case.segments.size());
  const HeadShape& shape = plan_case.spec.shape;
  BatchView batch;
  batch.num_tokens = static_cast<int32_t>(positions.size());
  batch.num_segments = num_segments;
  batch.positions = on_device[0].data();
  batch.slots = on_device[1].data();
  batch.segment_starts = on_device[2].data();
  const DeviceCopy<std::byte> memory(
      std::vector<std::byte>(plan_bytes(batch, shape), std::byte{0xff}));
  const auto queue = make_queue(plan_case.num_blocks);
  const PlanView plan = plan_view({memory.data()}, batch, shape);
  const PlanArguments arguments = plan_arguments(
      batch, plan_case.spec, plan_case.fits, plan_case.num_blocks, plan_case.is_invariant);
  launch_planner(*queue, plan, arguments);
  Planned planned;
  planned.max_units = plan.max_units;
  cudaDeviceSynchronize();
  cudaMemcpy(&planned.header, plan.header, sizeof(planned.header), cudaMemcpyDeviceToHost);
  for (const AttentionKernel kernel : {kPrefillKernel, kDecodeKernel}) {
    const int32_t count = planned.header.units[kernel];
    planned.units[kernel] = units_of(plan, kernel, 0, count);
    if (kernel == kPrefillKernel && !has_prefill(batch)) continue;
    planned.idle[kernel] = units_of(plan, kernel, count, arguments.blocks[kernel]);
  }
  return planned;
}

PlanCase random_case(uint32_t seed) {
  std::mt19937 random(seed);
  const auto below = [&](int32_t limit) { return static_cast<int32_t>(random() % limit); };
  PlanCase plan_case;
  const int32_t count = 1 + below(seed % 3 == 0 ? 70 : 6);
  for (int32_t i = 0; i < count; ++i) {
    const int32_t rows = below(4) == 0 ? below(300) : below(3);
    plan_case.segments.push_back({below(i % 3 == 0 ? 9000 : 700), rows});
  }
  plan_case.segments.push_back({0, 0});
  const int32_t kv_heads = 1 + below(3);
  const int32_t dims[] = {64, 80, 128, 256};
  plan_case.spec.shape = {kv_heads * (1 + below(seed % 5 == 0 ? 40 : 8)), kv_heads, dims[below(4)]};
  plan_case.spec.window = below(2) == 0 ? 0 : 1 + below(2000);
  const int32_t budgets[] = {1, 6, 132};
  plan_case.num_blocks = budgets[below(3)];
  plan_case.is_invariant = below(2) == 0;
  for (AttentionFit& fit : plan_case.fits) fit.blocks_per_sm = 1 + below(3);
  if (plan_case.is_invariant && below(2) == 0) {
    plan_case.fits[kPrefillKernel].run_bytes = run_bytes(stored_dim(plan_case.spec.shape.head_dim));
  }
  return plan_case;
}

// Counts, for each (segment, head, packed row), the pages that its units cover. Pages that a row
// does not see may be covered or not.
void expect_every_page_once(const PlanCase& plan_case, const Planned& planned) {
  const HeadShape& shape = plan_case.spec.shape;
  const int32_t group = shape.num_heads / shape.num_kv_heads;
  std::map<std::tuple<int32_t, int32_t, int32_t>, std::map<int32_t, int>> seen;  // first token,
  for (const auto& units : planned.units) {                                      // head, row
    for (const PlannedUnit& unit : units) {
      for (int32_t row = unit.first_row; row < unit.first_row + unit.num_rows; ++row) {
        auto& pages = seen[{unit.first_token, unit.head, row}];
        for (int32_t page = unit.first_page; page < unit.end_page; ++page) ++pages[page];
      }
    }
  }
  int32_t token = 0;
  size_t rows = 0;
  for (const PlannedSegment& segment : plan_case.segments) {
    for (int32_t head = 0; head < shape.num_kv_heads; ++head) {
      for (int32_t row = 0; row < segment.rows * group; ++row, ++rows) {
        const int32_t position = segment.position + row / group;
        const int32_t window = plan_case.spec.window;
        const int32_t first = window > 0 ? std::max(0, position - window + 1) : 0;
        auto& pages = seen[{token, head, row}];
        for (int32_t page = first / kPageTokens; page <= position / kPageTokens; ++page) {
          ASSERT_EQ(pages[page], 1) << "page " << page << " of position " << position;
        }
        for (const auto& [page, count] : pages) ASSERT_LE(count, 1);
      }
    }
    token += segment.rows;
  }
  EXPECT_EQ(seen.size(), rows) << "units of rows that do not exist";
}

// Split tiles: their counters and the rows of their partials, which are real ones only, are not
// shared and lie inside the memory.
void expect_own_partials(const PlanCase& plan_case, const Planned& planned) {
  std::map<std::tuple<int, int32_t, int32_t, int32_t>, int32_t> arrivals;
  std::set<int32_t> rows, counters;
  const auto tile_of = [](int kernel, const PlannedUnit& unit) {
    return std::tuple(kernel, unit.first_token, unit.head, unit.first_row);
  };
  for (int kernel = 0; kernel < 2; ++kernel) {
    for (const PlannedUnit& unit : planned.units[kernel]) {
      ASSERT_TRUE(unit.splits == 1 || unit.partial < unit.partials);
      if (arrivals[tile_of(kernel, unit)]++ > 0) continue;
      if (unit.splits == 1) {
        EXPECT_EQ(unit.partials, 0);
        continue;
      }
      for (int32_t i = 0; i < unit.partials * unit.num_rows; ++i) {
        ASSERT_TRUE(rows.insert(unit.first_partial_row + i).second);
      }
      ASSERT_TRUE(counters.insert(unit.counter).second);
    }
    for (const PlannedUnit& unit : planned.units[kernel]) {
      ASSERT_EQ(arrivals[tile_of(kernel, unit)], unit.splits);
    }
  }
  if (rows.empty()) return;
  const AttentionFit& prefill = plan_case.fits[kPrefillKernel];
  const int64_t runs = int64_t{launch_blocks(prefill, plan_case.num_blocks)} * prefill.run_bytes;
  const int32_t width = stored_dim(plan_case.spec.shape.head_dim);
  EXPECT_LT(*rows.rbegin(), max_partial_rows(width, runs));
  EXPECT_EQ(*rows.rbegin() + 1, static_cast<int32_t>(rows.size())) << "rows that nobody writes";
  EXPECT_LT(*counters.rbegin(), kMaxSplitTiles);
}

// A block finds a unit or an empty one in its place, and the two kernels' places do not meet.
void expect_units_of_all_blocks(const Planned& planned) {
  int64_t places = 0;
  for (int kernel = 0; kernel < 2; ++kernel) {
    for (const PlannedUnit& unit : planned.units[kernel]) {
      ASSERT_GT(unit.num_rows, 0);
      ASSERT_EQ(unit.units, planned.header.units[kernel]);
    }
    for (const PlannedUnit& unit : planned.idle[kernel]) ASSERT_EQ(unit.num_rows, 0);
    places += planned.units[kernel].size() + planned.idle[kernel].size();
  }
  EXPECT_LE(places, planned.max_units);
}

TEST(AttentionPlan, EveryRowSeesEachOfItsPagesOnce) {
  for (uint32_t seed = 1; seed <= 60; ++seed) {
    SCOPED_TRACE(seed);
    const PlanCase plan_case = random_case(seed);
    const Planned planned = plan_of(plan_case);
    expect_every_page_once(plan_case, planned);
    expect_own_partials(plan_case, planned);
    expect_units_of_all_blocks(planned);
    if (testing::Test::HasFailure()) return;
  }
}

TEST(AttentionPlan, InvariantUnitsEndAtCutsOfAbsolutePositions) {
  for (uint32_t seed = 1; seed <= 40; ++seed) {
    PlanCase plan_case = random_case(seed);
    plan_case.is_invariant = true;
    for (const PlannedUnit& unit : plan_of(plan_case).units[kDecodeKernel]) {
      const bool is_last = unit.end_page == (unit.context - 1) / kPageTokens + 1;
      ASSERT_TRUE(unit.split == 0 || unit.first_page % kCutPages == 0);
      ASSERT_TRUE(is_last || unit.end_page % kCutPages == 0);
      ASSERT_EQ(is_last, unit.split == unit.splits - 1);
    }
  }
}

TEST(AttentionPlan, OneLongContextFillsTheResidentBlocks) {
  for (const bool is_invariant : {false, true}) {
    for (const int32_t resident : {1, 2, 3}) {
      PlanCase plan_case;
      plan_case.segments = {{131071, 1}};
      plan_case.spec.shape = {32, 8, 128};
      plan_case.num_blocks = 132;
      plan_case.is_invariant = is_invariant;
      plan_case.fits[kDecodeKernel].blocks_per_sm = resident;
      const auto units = static_cast<int32_t>(plan_of(plan_case).units[kDecodeKernel].size());
      EXPECT_GE(units, resident * 100);
      EXPECT_LE(units, resident * 132) << "another wave";
    }
  }
}

TEST(AttentionPlan, ManyRequestsAreNotSplit) {
  PlanCase plan_case;
  plan_case.segments.assign(132, {2047, 1});
  plan_case.spec.shape = {32, 8, 128};
  plan_case.num_blocks = 132;
  for (const PlannedUnit& unit : plan_of(plan_case).units[kDecodeKernel]) {
    ASSERT_EQ(unit.splits, 1);
  }
}

TEST(AttentionPlan, AChunkTooSmallForTheDeviceIsSplit) {
  for (const int32_t resident : {1, 2}) {
    PlanCase plan_case;
    plan_case.segments = {{32768, 64}};
    plan_case.spec.shape = {8, 2, 128};
    plan_case.num_blocks = 132;
    plan_case.fits[kPrefillKernel].blocks_per_sm = resident;
    const auto units = static_cast<int32_t>(plan_of(plan_case).units[kPrefillKernel].size());
    EXPECT_GE(units, resident * 120);
    EXPECT_LE(units, resident * 132);
  }
}

TEST(AttentionPlan, PlansAndPartialsFitTheirMemory) {
  for (const int32_t width : {64, 80, 96, 128, 256}) {
    EXPECT_LE(max_partial_rows(width, 0) * partial_row_bytes(width), kPartialBytes);
    for (const int32_t num_blocks : {1, 142, 5000}) {
      const AttentionFit fit = {.run_bytes = run_bytes(width), .blocks_per_sm = 2};
      const int64_t runs = int64_t{launch_blocks(fit, num_blocks)} * fit.run_bytes;
      EXPECT_GE(runs, fit.run_bytes);
      EXPECT_LE(runs + max_partial_rows(width, runs) * partial_row_bytes(width), kPartialBytes);
      EXPECT_GE(max_partial_rows(width, runs), max_partial_rows(width, 0) / 2);
    }
    EXPECT_EQ(prefill_rows(width) % (kTileRows * kAttentionWarps), 0);
  }
  BatchView batch{.num_tokens = 9, .num_segments = 8};
  const HeadShape shape = {32, 8, 128};
  std::vector<std::byte> memory(plan_bytes(batch, shape));
  const PlanView view = plan_view({memory.data()}, batch, shape);
  const auto* end = reinterpret_cast<const std::byte*>(view.ends[kDecodeKernel] + 8);
  EXPECT_EQ(end - memory.data(), static_cast<int64_t>(memory.size()));
  EXPECT_EQ((reinterpret_cast<const std::byte*>(view.units) - memory.data()) % 64, 0)
      << "a unit is read in one piece";
  EXPECT_TRUE(has_prefill(batch));
  batch.num_tokens = 8;
  EXPECT_FALSE(has_prefill(batch)) << "a decode-only step has no prefill launch";
  batch.is_mixed = true;
  EXPECT_TRUE(has_prefill(batch)) << "padded to as many rows as segments";
}

TEST(AttentionPlan, InstancesAreListedOnce) {
  std::set<std::tuple<int, int, bool>> listed;
  for (const AttentionInstance& instance : kAttentionInstances) {
    EXPECT_TRUE(listed.emplace(instance.kernel, instance.stored_dim, instance.is_bf16).second);
    EXPECT_LE(instance.registers, 255);
    EXPECT_LE(instance.shared_bytes, 163 * 1024) << "sm_80";
    EXPECT_LE(instance.lean_bytes, kMinSharedBytes);
  }
  EXPECT_LE(listed.size(), 24u);
}

TEST(AttentionPlan, TheLargestVariantThatFitsTheDeviceIsChosen) {
  for (const AttentionInstance& instance : kAttentionInstances) {
    for (const int64_t limit : {99, 100, 163, 227}) {
      for (const bool is_invariant : {false, true}) {
        const AttentionFit fit = choose_fit(instance, is_invariant, limit * 1024);
        ASSERT_LE(fit.shared_bytes, limit * 1024);
        const bool is_prefill = instance.kernel == kPrefillKernel;
        const bool has_room = instance.shared_bytes <= limit * 1024;
        EXPECT_EQ(fit.is_lean, !has_room || (is_prefill && !is_invariant));
        EXPECT_EQ(fit.run_bytes > 0, is_prefill && is_invariant && !has_room);
      }
    }
  }
}

}  // namespace
}  // namespace trireme::cuda
