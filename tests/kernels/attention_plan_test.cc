// The planner of attention, run on the emulated device: for any batch, budget and mode, every row
// sees each of its pages exactly once.
#include "kernels/cuda/attention/attention_plan.h"

#include <gtest/gtest.h>

#include <map>
#include <random>
#include <set>
#include <vector>

#include "kernels/cuda/arch.h"
#include "kernels/cuda/attention/attention_launch.h"
#include "kernels/cuda/attention/attention_work.h"
#include "kernels/cuda/launch.h"

namespace trireme::cuda {
namespace {

__global__ void list_units(const AttentionWork work,
                           AttentionKernel kernel,
                           int32_t tile_rows,
                           Unit* units) {
  dependency_wait();
  const Unit unit = find_unit(work, kernel, tile_rows, static_cast<int32_t>(blockIdx.x));
  if (threadIdx.x == 0) units[blockIdx.x] = unit;
}

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
  std::vector<Unit> units[2];
};

std::unique_ptr<CudaQueue> make_queue(int32_t num_blocks) {
  cudaStream_t stream = nullptr;
  cudaEvent_t event = nullptr;
  cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking);
  cudaEventCreateWithFlags(&event, cudaEventDisableTiming);
  return std::make_unique<CudaQueue>(stream, event, num_blocks);
}

std::vector<Unit> units_of(CudaQueue& queue,
                           const AttentionWork& work,
                           AttentionKernel kernel,
                           int32_t tile_rows,
                           int32_t count) {
  const DeviceCopy<Unit> units(std::vector<Unit>(static_cast<size_t>(count)));
  LaunchConfig config;
  config.grid = dim3(static_cast<unsigned>(count));
  config.block = dim3(32);
  launch(queue, "list_units", list_units, config, work, kernel, tile_rows, units.data());
  return units.read();
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
  const DeviceCopy<std::byte> memory(std::vector<std::byte>(
      static_cast<size_t>(cuda_attention_plan_bytes(num_segments)), std::byte{0xff}));
  BatchView batch;
  batch.num_tokens = static_cast<int32_t>(positions.size());
  batch.num_segments = num_segments;
  batch.positions = on_device[0].data();
  batch.slots = on_device[1].data();
  batch.segment_starts = on_device[2].data();
  const auto queue = make_queue(plan_case.num_blocks);
  AttentionWork work = {};
  work.plan = plan_view({memory.data()}, num_segments);
  work.positions = batch.positions;
  work.slots = batch.slots;
  work.segment_starts = batch.segment_starts;
  const HeadShape& shape = plan_case.spec.shape;
  work.group = shape.num_heads / shape.num_kv_heads;
  work.rule.window = plan_case.spec.window > 0 ? plan_case.spec.window : 0x7fffffff;
  work.is_invariant = plan_case.is_invariant;
  const PlanArguments arguments = plan_arguments(
      batch, plan_case.spec, plan_case.fits, plan_case.num_blocks, plan_case.is_invariant);
  launch_planner(*queue, work.plan, arguments);
  Planned planned;
  cudaDeviceSynchronize();
  cudaMemcpy(&planned.header, work.plan.header, sizeof(planned.header), cudaMemcpyDeviceToHost);
  const int32_t rows[] = {prefill_rows(stored_dim(shape.head_dim)), kTileRows};
  for (const AttentionKernel kernel : {kPrefillKernel, kDecodeKernel}) {
    planned.units[kernel] =
        units_of(*queue, work, kernel, rows[kernel], planned.header.units[kernel]);
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
    for (const Unit& unit : units) {
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

// Split tiles: their slots and counters are not shared and lie inside the memory.
void expect_own_slots(const PlanCase& plan_case, const Planned& planned) {
  std::map<std::tuple<int, int32_t, int32_t, int32_t>, int32_t> arrivals;
  std::set<int32_t> slots, counters;
  for (int kernel = 0; kernel < 2; ++kernel) {
    for (const Unit& unit : planned.units[kernel]) {
      const SegmentShare& share = unit.share;
      if (arrivals[{kernel, unit.first_token, unit.head, unit.tile}]++ > 0) continue;
      if (share.splits == 1) {
        EXPECT_EQ(share.partials, 0);
        continue;
      }
      const int32_t tile = unit.head * share.tiles + unit.tile;
      for (int32_t i = 0; i < share.partials; ++i) {
        ASSERT_TRUE(slots.insert(share.first_slot + tile * share.partials + i).second);
      }
      ASSERT_TRUE(counters.insert(share.first_counter + tile).second);
    }
    for (const Unit& unit : planned.units[kernel]) {
      const int32_t arrived = arrivals[{kernel, unit.first_token, unit.head, unit.tile}];
      ASSERT_EQ(arrived, unit.share.splits);
    }
  }
  if (slots.empty()) return;
  const AttentionFit& prefill = plan_case.fits[kPrefillKernel];
  const int64_t runs = int64_t{launch_blocks(prefill, plan_case.num_blocks)} * prefill.run_bytes;
  const int32_t width = stored_dim(plan_case.spec.shape.head_dim);
  EXPECT_LE((*slots.rbegin() + 1) * partial_bytes(width), kPartialBytes - runs);
  EXPECT_LT(*counters.rbegin(), kMaxSplitTiles);
}

TEST(AttentionPlan, EveryRowSeesEachOfItsPagesOnce) {
  for (uint32_t seed = 1; seed <= 60; ++seed) {
    SCOPED_TRACE(seed);
    const PlanCase plan_case = random_case(seed);
    const Planned planned = plan_of(plan_case);
    expect_every_page_once(plan_case, planned);
    expect_own_slots(plan_case, planned);
    if (testing::Test::HasFailure()) return;
  }
}

TEST(AttentionPlan, InvariantUnitsEndAtCutsOfAbsolutePositions) {
  for (uint32_t seed = 1; seed <= 40; ++seed) {
    PlanCase plan_case = random_case(seed);
    plan_case.is_invariant = true;
    for (const Unit& unit : plan_of(plan_case).units[kDecodeKernel]) {
      const bool is_first = unit.first_page == unit.share.first_page;
      const bool is_last = unit.end_page == unit.share.end_page;
      ASSERT_TRUE(is_first || unit.first_page % kCutPages == 0);
      ASSERT_TRUE(is_last || unit.end_page % kCutPages == 0);
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
  for (const Unit& unit : plan_of(plan_case).units[kDecodeKernel]) {
    ASSERT_EQ(unit.share.splits, 1);
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
    EXPECT_LE(max_partials(width, 0) * partial_bytes(width), kPartialBytes);
    for (const int32_t num_blocks : {1, 142, 5000}) {
      const AttentionFit fit = {.run_bytes = run_bytes(width), .blocks_per_sm = 2};
      const int64_t runs = int64_t{launch_blocks(fit, num_blocks)} * fit.run_bytes;
      EXPECT_GE(runs, fit.run_bytes);
      EXPECT_LE(runs + max_partials(width, runs) * partial_bytes(width), kPartialBytes);
      EXPECT_GE(max_partials(width, runs), max_partials(width, 0) / 2);
    }
    EXPECT_EQ(prefill_rows(width) % (kTileRows * kAttentionWarps), 0);
  }
  std::vector<std::byte> memory(static_cast<size_t>(cuda_attention_plan_bytes(5)));
  const PlanView view = plan_view({memory.data()}, 5);
  const auto* end = reinterpret_cast<const std::byte*>(view.ends[kDecodeKernel] + 5);
  EXPECT_LE(end - memory.data(), cuda_attention_plan_bytes(5));
  BatchView batch{.num_tokens = 9, .num_segments = 8};
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
