// What a recorded step asks of the CUDA runtime: a copy, an order between queues and one launch;
// no memory, no wait, and after warm-up no recording.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "kernels/cuda/emulation/control.h"
#include "tests/cluster/local_workers.h"
#include "worker/comm/local_group.h"

namespace trireme {
namespace {

class NoResults final : public ResultSink {
 public:
  void on_result(StepResult&) override { ++count; }
  void on_probe(Probe&) override {}
  int64_t count = 0;
};

TEST(StepCalls, ADecodeStepIsOneLaunchWithoutMemoryOrWaits) {
  auto source = open_model(TRIREME_SOURCE_DIR "/tests/data/golden/models/llama-gqa");
  ASSERT_TRUE(source.ok()) << message_of(source.status());
  const auto group = make_local_group(1, 1, "here");
  WorkerOptions options;
  options.backend = "cuda";
  options.max_num_seqs = 4;
  options.max_num_batched_tokens = 32;
  Progress progress;
  NoResults sink;
  const auto worker = Worker::make(options, *source, *group[0], progress, nullptr);
  ASSERT_TRUE(worker.ok()) << message_of(worker.status());
  ASSERT_TRUE((*worker)->start((*worker)->num_pages(), sink).ok());

  std::vector<ScriptedRequest> requests(3);
  for (ScriptedRequest& request : requests) {
    request.prompt.assign(5, 7);
    request.new_tokens = 30;
  }
  ScriptLimits limits;
  limits.page_tokens = (*worker)->kv_layout().page_tokens;
  std::vector<StepPlan> plans = plan_requests(requests, limits, 1);
  constexpr size_t kFirst = 3;  // the prompts are in by then
  constexpr size_t kSteps = 20;
  ASSERT_GT(plans.size(), kFirst + kSteps);
  for (size_t i = 0; i < kFirst + kSteps; ++i) {
    name_key(plans[i]);
    if (i == kFirst) {
      ASSERT_TRUE((*worker)->executor().drain().ok());
      emulation::start_recording();
    }
    ASSERT_TRUE((*worker)->executor().execute(plans[i]).ok());
  }
  std::map<std::string, size_t> calls;
  for (const emulation::Call& call : emulation::stop_recording()) {
    ++calls[call.name];
    EXPECT_FALSE(emulation::allocates(call)) << call.name;
    EXPECT_FALSE(emulation::synchronizes(call)) << call.name;
  }
  ASSERT_TRUE((*worker)->executor().finish().ok());
  EXPECT_EQ(sink.count, static_cast<int64_t>(kFirst + kSteps));
  EXPECT_EQ(calls["cudaGraphLaunch"], kSteps);
  EXPECT_EQ(calls["cudaMemcpyAsync"], kSteps);  // the step's record
  EXPECT_EQ(calls["cudaLaunchKernelEx"], 0u);
  EXPECT_EQ(calls["cudaStreamBeginCapture"], 0u);  // warm-up has them all
}

}  // namespace
}  // namespace trireme
