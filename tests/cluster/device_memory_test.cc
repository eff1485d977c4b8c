// Use of emulated devices' memory by a group's ranks: every line equals the planner's, each rank
// counts its own, and a small device is filled up to the reserve.
#include <gtest/gtest.h>

#include <algorithm>
#include <mutex>

#include "base/cuda_memory.h"
#include "kernels/emulation/control.h"
#include "model/planner.h"
#include "tests/cluster/local_workers.h"

namespace trireme {
namespace device_memory_test {

constexpr int64_t kUnit = 2 << 20;  // granularity of memory behind reserved addresses
constexpr int64_t kGraphBytes = 128 << 10;

int64_t whole_units(int64_t bytes) { return (bytes + kUnit - 1) / kUnit * kUnit; }

class DeviceMemory : public testing::Test {
 protected:
  void SetUp() override {
    emulation::Settings small = before_;
    small.graph_bytes = kGraphBytes;
    emulation::set_settings(small);
  }
  void TearDown() override { emulation::set_settings(before_); }

  static void set_device_bytes(int64_t bytes) {
    emulation::Settings settings = emulation::settings();
    settings.device_bytes = bytes;
    emulation::set_settings(settings);
  }
  static int64_t device_bytes() { return emulation::settings().device_bytes; }

  // Enough sequences for more KV than the device holds.
  static LocalRun run_of(const std::string& model, Partition partition) {
    LocalRun run;
    run.model = std::string(TRIREME_SOURCE_DIR "/tests/data/golden/models/") + model;
    run.partition = partition;
    run.captures = true;
    run.options.backend = "cuda";
    run.options.max_slots = 64;
    run.options.max_batched_tokens = 64;
    return run;
  }

  // Chunks, decodes and draws from the whole vocabulary: captured steps and plain ones.
  static std::vector<ScriptedRequest> requests() {
    std::vector<ScriptedRequest> requests(3);
    for (size_t i = 0; i < requests.size(); ++i) {
      requests[i].prompt.assign(5 + 40 * i, static_cast<TokenId>(7 + i));
      requests[i].new_tokens = 4;
    }
    requests[1].sampling.top_p = 0.5f;
    return requests;
  }

  // The ranks' own accounts after their last step; `on_rank` is called at a rank's start and end.
  static std::vector<MemoryUse> uses_of(LocalRun run, const LocalRun::Inspect& on_rank = {}) {
    std::vector<MemoryUse> uses(run.partition.tp * run.partition.pp);
    run.inspect = [&](int rank, const Worker& worker) {
      uses[rank] = worker.memory_use();
      if (on_rank) on_rank(rank, worker);
    };
    run_local_group(run, requests());
    return uses;
  }

  const emulation::Settings before_ = emulation::settings();
};

TEST_F(DeviceMemory, OfASmallDeviceIsFilledUpToTheReserve) {
  set_device_bytes(int64_t{192} << 20);
  const int64_t max_bytes = device_bytes() - kCudaReserveBytes;
  int calls = 0;
  const auto uses = uses_of(run_of("llama-gqa", {1, 1}), [&](int, const Worker& worker) {
    const int64_t page_bytes = worker.memory_use().pages / worker.num_pages();
    EXPECT_LE(emulation::allocated_bytes(0), max_bytes);
    EXPECT_GT(emulation::allocated_bytes(0), max_bytes - kUnit - page_bytes);
    ++calls;
  });
  EXPECT_EQ(calls, 2);
  EXPECT_EQ(uses[0].reserve, kCudaReserveBytes);
  EXPECT_GT(uses[0].modules, 0);
  EXPECT_LT(uses[0].modules % kGraphBytes, 16 << 10) << "and the counters of queues";
}

TEST_F(DeviceMemory, TheStartNamesItsSecondsAndTheModulesMemory) {
  LocalRun run = run_of("llama-gqa", {2, 1});
  run.inspect = [](int, const Worker& worker) {
    const StartTimes& start = worker.start_times();
    EXPECT_GT(start.device, 0);
    EXPECT_GT(start.load, 0);
    EXPECT_GT(start.warm_up, start.pages);
    EXPECT_GT(start.module_bytes, 0) << "the counters of the lane, on the emulation";
  };
  run_local_group(run, requests());
  const StartTimes start{
      .device = 2, .load = 1.25, .warm_up = 3, .pages = 0.5, .module_bytes = 3 << 20};
  EXPECT_EQ(start.line(),
            "start 6.8 s: device 2, weights and communicators 1.3, warm-up 3, KV pages 0.5; "
            "context and modules 3.00 MiB");
}

// Each rank counts its own requests and its share of the rest.
TEST_F(DeviceMemory, OfRanksThatShareADeviceIsCountedOnce) {
  set_device_bytes(int64_t{320} << 20);
  LocalRun run = run_of("llama-gqa", {2, 2});
  run.shares_device = true;
  const int64_t max_bytes = device_bytes() - kCudaReserveBytes;
  std::mutex mutex;
  int64_t allocated = 0;
  const auto uses = uses_of(run, [&](int, const Worker&) {
    const std::lock_guard lock(mutex);
    allocated = std::max(allocated, emulation::allocated_bytes(0));
  });
  int64_t sum = 0;
  for (const MemoryUse& use : uses) {
    EXPECT_EQ(use.modules, uses[0].modules);
    EXPECT_EQ(use.reserve, kCudaReserveBytes);
    sum += use.weights + use.communicators + use.step + use.modules + whole_units(use.pages);
  }
  EXPECT_EQ(sum, allocated);
  EXPECT_LE(allocated, max_bytes);
  EXPECT_GT(allocated, max_bytes - 4 * (kUnit + (int64_t{1} << 18)));
}

struct PlannedCase {
  std::string model;
  Partition partition;
  int32_t max_slots = 64;
  int32_t max_batched_tokens = 64;
};

class PlannedMemory : public DeviceMemory, public testing::WithParamInterface<PlannedCase> {};

// The planner counts the same arrays; 1% and 4 KiB allow for their alignment.
TEST_P(PlannedMemory, EqualsTheUseOfEachRankLineByLine) {
  LocalRun run = run_of(GetParam().model, GetParam().partition);
  run.options.max_slots = GetParam().max_slots;
  run.options.max_batched_tokens = GetParam().max_batched_tokens;
  const auto source = open_model(run.model);
  ASSERT_TRUE(source.ok()) << message_of(source.status());
  PlanRequest request;
  request.tp = run.partition.tp;
  request.pp = run.partition.pp;
  request.backend = "cuda";
  request.max_slots = run.options.max_slots;
  request.max_batched_tokens = run.options.max_batched_tokens;
  const auto plan = plan_group(source->config, request);
  ASSERT_TRUE(plan.ok()) << message_of(plan.status());
  const auto near = [](int64_t found, int64_t planned) {
    return std::abs(found - planned) <= planned / 100 + 4096;
  };
  const std::vector<MemoryUse> uses = uses_of(run);
  for (const RankPlan& planned : plan->ranks) {
    const MemoryUse& use = uses[planned.rank];
    SCOPED_TRACE(format_text("rank {}", planned.rank));
    EXPECT_PRED2(near, use.weights, planned.weight_bytes);
    EXPECT_PRED2(near, use.communicators, planned.communicator_bytes);
    EXPECT_PRED2(near, use.step - planned.workspace_bytes, planned.activation_bytes);
    EXPECT_EQ(use.reserve, planned.reserve_bytes);
    EXPECT_EQ(use.pages % planned.page_bytes, 0);
  }
}

std::string name_of_case(const testing::TestParamInfo<PlannedCase>& info) {
  std::string name = info.param.model;
  std::ranges::replace(name, '-', '_');
  return format_text("{}_tp{}_pp{}_of_{}",
                     name,
                     info.param.partition.tp,
                     info.param.partition.pp,
                     info.param.max_batched_tokens);
}

INSTANTIATE_TEST_SUITE_P(Cuts,
                         PlannedMemory,
                         testing::Values(PlannedCase{"llama-gqa", {1, 1}},
                                         PlannedCase{"llama-gqa", {2, 1}},
                                         PlannedCase{"llama-gqa", {1, 2}, 8, 200},
                                         PlannedCase{"llama-gqa", {2, 2}},
                                         PlannedCase{"qwen2-tied", {2, 1}},
                                         PlannedCase{"qwen2-tied", {1, 2}},
                                         PlannedCase{"qwen3-qk-norm", {1, 2}}),
                         name_of_case);

}  // namespace device_memory_test
}  // namespace trireme
