// What a recorded step asks of the CUDA runtime: a copy, an order between queues and one launch;
// no memory, no wait, and after warm-up no recording.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <memory>

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

// One rank on one emulated device.
class StepCalls : public testing::Test {
 protected:
  void SetUp() override {
    auto opened = open_model(TRIREME_SOURCE_DIR "/tests/data/golden/models/llama-gqa");
    ASSERT_TRUE(opened.ok()) << message_of(opened.status());
    source_ = std::make_unique<ModelSource>(std::move(opened).value());
    WorkerOptions options;
    options.backend = "cuda";
    options.max_num_seqs = 4;
    options.max_num_batched_tokens = 32;
    auto made = Worker::make(options, *source_, *group_[0], progress_, nullptr);
    ASSERT_TRUE(made.ok()) << message_of(made.status());
    worker_ = std::move(made).value();
    start();
  }
  void start() { ASSERT_TRUE(worker_->start(worker_->num_pages(), sink_).ok()); }
  StepExecutor& executor() { return worker_->executor(); }

  const std::vector<std::unique_ptr<GroupComms>> group_ = make_local_group(1, 1, "here");
  std::unique_ptr<ModelSource> source_;
  Progress progress_;
  NoResults sink_;
  std::unique_ptr<Worker> worker_;
};

TEST_F(StepCalls, ADecodeStepIsOneLaunchWithoutMemoryOrWaits) {
  std::vector<ScriptedRequest> requests(3);
  for (ScriptedRequest& request : requests) {
    request.prompt.assign(5, 7);
    request.new_tokens = 30;
  }
  ScriptLimits limits;
  limits.page_tokens = worker_->kv_layout().page_tokens;
  std::vector<StepPlan> plans = plan_requests(requests, limits, 1);
  constexpr size_t kFirst = 3;  // the prompts are in by then
  constexpr size_t kSteps = 20;
  ASSERT_GT(plans.size(), kFirst + kSteps);
  for (size_t i = 0; i < kFirst + kSteps; ++i) {
    name_key(plans[i]);
    if (i == kFirst) {
      ASSERT_TRUE(executor().drain().ok());
      emulation::start_recording();
    }
    ASSERT_TRUE(executor().execute(plans[i]).ok());
  }
  std::map<std::string, size_t> calls;
  for (const emulation::Call& call : emulation::stop_recording()) {
    ++calls[call.name];
    EXPECT_FALSE(emulation::allocates(call)) << call.name;
    EXPECT_FALSE(emulation::synchronizes(call)) << call.name;
  }
  ASSERT_TRUE(executor().finish().ok());
  EXPECT_EQ(sink_.count, static_cast<int64_t>(kFirst + kSteps));
  EXPECT_EQ(calls["cudaGraphLaunch"], kSteps);
  EXPECT_EQ(calls["cudaMemcpyAsync"], kSteps);  // the step's record
  EXPECT_EQ(calls["cudaLaunchKernelEx"], 0u);
  EXPECT_EQ(calls["cudaStreamBeginCapture"], 0u);  // warm-up has them all
}

}  // namespace
}  // namespace trireme
