// Groups on emulated devices with few hardware queues: ranks that share a device need a queue for
// each lane, a rank alone needs one. A wait in front of the work that it waits for, and a graph
// that is made while a peer waits, end the process (kernels/emulation/README.md).
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <string>

#include "kernels/emulation/control.h"
#include "tests/cluster/local_workers.h"

namespace trireme {
namespace hardware_queues_test {

class HardwareQueues : public testing::Test {
 protected:
  void SetUp() override { GTEST_FLAG_SET(death_test_style, "threadsafe"); }
  void TearDown() override { emulation::set_settings(before_); }
  static void set_queues(int count) {
    emulation::Settings settings = emulation::settings();
    settings.num_queues = count;
    settings.standstill_limit_s = 5;
    emulation::set_settings(settings);
  }

  static LocalRun run_of(Partition partition, bool shares_device, bool captures) {
    LocalRun run;
    run.model = TRIREME_SOURCE_DIR "/tests/data/golden/models/llama-gqa";
    run.partition = partition;
    run.shares_device = shares_device;
    run.captures = captures;
    run.options.backend = "cuda";
    run.options.invariant = true;  // the same tokens, captured or not
    run.options.max_slots = 4;
    run.options.max_batched_tokens = 16;
    return run;
  }
  // Prompts in chunks beside decodes; one request draws from the whole vocabulary, uncaptured.
  static std::vector<ScriptedRequest> requests() {
    std::vector<ScriptedRequest> requests(3);
    for (size_t i = 0; i < requests.size(); ++i) {
      for (size_t t = 0; t < 5 + 10 * i; ++t) {
        requests[i].prompt.push_back(static_cast<TokenId>((7 * t + 13 * i + 1) % 300));
      }
      requests[i].new_tokens = 6;
      requests[i].chunk = 8;
      requests[i].start_step = static_cast<int32_t>(2 * i);
      requests[i].seed = 100 + i;
    }
    requests[1].sampling.temperature = 0.8f;
    requests[1].sampling.top_p = 0.5f;
    return requests;
  }
  void expect_tokens(int queues, Partition partition, bool shares_device) const {
    SCOPED_TRACE(format_text("{} queues, tp {} pp {}", queues, partition.tp, partition.pp));
    emulation::set_settings(before_);
    const Outcome plain = run_local_group(run_of(partition, false, false), requests());
    set_queues(queues);
    const Outcome found = run_local_group(run_of(partition, shares_device, true), requests());
    EXPECT_EQ(plain.tokens.size(), 3u);
    EXPECT_EQ(found.tokens, plain.tokens);
  }

  const emulation::Settings before_ = emulation::settings();
};

TEST_F(HardwareQueues, ARankAloneOnItsDeviceNeedsOne) {
  for (const int queues : {1, 2, 8}) {
    expect_tokens(queues, {1, 1}, false);
    expect_tokens(queues, {2, 1}, false);
    expect_tokens(queues, {1, 2}, false);
  }
}

TEST_F(HardwareQueues, RanksThatShareADeviceNeedOneForEachLane) {
  expect_tokens(2, {2, 1}, true);
  expect_tokens(2, {1, 2}, true);
  expect_tokens(4, {2, 2}, true);
  expect_tokens(8, {2, 2}, true);
}

TEST_F(HardwareQueues, LanesThatShareOneAreNamed) {
  set_queues(1);
  EXPECT_DEATH(run_local_group(run_of({2, 1}, true, true), requests()),
               testing::AllOf(testing::HasSubstr("device 0, hardware queue 0: "),
                              testing::HasSubstr("could run, but stands behind "),
                              testing::HasSubstr("of stream ")));
}

// A rank makes its lane and its side queue, and nothing else takes a hardware queue.
TEST_F(HardwareQueues, ARankMakesTwoStreams) {
  for (const Partition partition : {Partition{1, 1}, Partition{2, 2}}) {
    emulation::start_call_trace();
    run_local_group(run_of(partition, true, true), requests());
    const auto calls = emulation::stop_call_trace();
    const auto made = std::ranges::count(
        calls, std::string("cudaStreamCreateWithPriority"), &emulation::Call::name);
    EXPECT_EQ(made, 2 * partition.tp * partition.pp);
  }
}

}  // namespace hardware_queues_test
}  // namespace trireme
