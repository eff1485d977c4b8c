// The CUDA runtime calls of a captured step: one copy, one order between queues and one graph
// launch; no allocation, no wait and, after warm-up, no capture. Also the number of nodes of its
// graph.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <map>
#include <memory>
#include <string>

#include "kernels/emulation/control.h"
#include "tests/cluster/local_workers.h"
#include "worker/comm/local_group.h"

namespace trireme {
namespace step_calls_test {

class NoResults final : public ResultSink {
 public:
  void on_result(StepResult&) override { ++count; }
  void on_probe(Probe&) override {}
  int64_t count = 0;
};

// One rank on one emulated device.
class StepCalls : public testing::Test {
 protected:
  void make(const std::string& model, int32_t max_slots) {
    auto opened = open_model(model);
    ASSERT_TRUE(opened.ok()) << message_of(opened.status());
    source_ = std::make_unique<ModelSource>(std::move(opened).value());
    WorkerOptions options;
    options.backend = "cuda";
    options.max_slots = max_slots;
    options.max_batched_tokens = 32;
    auto made = Worker::make(options, *source_, *group_[0], progress_, nullptr);
    ASSERT_TRUE(made.ok()) << message_of(made.status());
    worker_ = std::move(made).value();
  }
  void start() { ASSERT_TRUE(worker_->start(worker_->num_pages(), sink_).ok()); }
  StepExecutor& executor() { return worker_->executor(); }
  // Kernels of the first captured step, the smallest step of decodes, while the rank is made.
  std::map<std::string, size_t> recorded_nodes(const std::string& model) {
    emulation::start_call_trace();
    make(model, 1);
    std::map<std::string, size_t> nodes;
    for (const emulation::Call& call : emulation::stop_call_trace()) {
      if (call.name == "cudaStreamEndCapture") return nodes;
      if (call.is_captured) ++nodes[call.name + " " + call.detail];
    }
    ADD_FAILURE() << "nothing was recorded";
    return nodes;
  }

  const std::vector<std::unique_ptr<GroupComms>> group_ = make_local_group(1, 1, "here");
  std::unique_ptr<ModelSource> source_;
  Progress progress_;
  NoResults sink_;
  std::unique_ptr<Worker> worker_;
};

TEST_F(StepCalls, ADecodeStepIsOneLaunchWithoutMemoryOrWaits) {
  make(TRIREME_SOURCE_DIR "/tests/data/golden/models/llama-gqa", 4);
  start();
  std::vector<ScriptedRequest> requests(3);
  for (ScriptedRequest& request : requests) {
    request.prompt.assign(5, 7);
    request.new_tokens = 30;
  }
  for (ScriptedRequest& request : requests) request.sampling.temperature = 0.7f;
  requests[1].sampling.top_k = 20;
  requests[1].sampling.top_p = 0.8f;
  requests[2].sampling.min_p = 0.1f;
  ScriptLimits limits;
  limits.page_tokens = worker_->kv_layout().page_tokens;
  std::vector<StepPlan> plans = plan_requests(requests, limits, 1);
  constexpr size_t kFirst = 3;  // all prompts have been computed by then
  constexpr size_t kSteps = 20;
  ASSERT_GT(plans.size(), kFirst + kSteps);
  for (size_t i = 0; i < kFirst + kSteps; ++i) {
    name_key(plans[i]);
    if (i == kFirst) {
      ASSERT_TRUE(executor().drain().ok());
      emulation::start_call_trace();
    }
    ASSERT_TRUE(executor().execute(plans[i]).ok());
  }
  std::map<std::string, size_t> calls;
  for (const emulation::Call& call : emulation::stop_call_trace()) {
    ++calls[call.name];
    EXPECT_FALSE(emulation::allocates(call)) << call.name;
    EXPECT_FALSE(emulation::synchronizes(call)) << call.name;
  }
  ASSERT_TRUE(executor().finish().ok());
  EXPECT_EQ(sink_.count, static_cast<int64_t>(kFirst + kSteps));
  EXPECT_EQ(calls["cudaGraphLaunch"], kSteps);
  EXPECT_EQ(calls["cudaMemcpyAsync"], kSteps);  // the step's record
  EXPECT_EQ(calls["cudaLaunchKernelEx"], 0u);
  EXPECT_EQ(calls["cudaStreamBeginCapture"], 0u);  // warm-up has captured all steps
}

// As many layers as Llama 3.1 8B, each tiny: the number of launches does not depend on widths, as
// linear_launch_test shows for the real ones.
TEST_F(StepCalls, ADecodeStepOfThirtyTwoLayersHasAtMostTwoHundredNodes) {
  const std::string config = testing::TempDir() + "/thirty-two-layers.json";
  std::ofstream(config) << R"({"model_type": "llama", "vocab_size": 320, "hidden_size": 64,
    "intermediate_size": 128, "num_hidden_layers": 32, "num_attention_heads": 4,
    "num_key_value_heads": 2, "head_dim": 16, "max_position_embeddings": 256,
    "rms_norm_eps": 1e-5, "rope_theta": 500000.0, "tie_word_embeddings": false,
    "torch_dtype": "bfloat16"})";
  size_t total = 0;
  for (const auto& [name, count] : recorded_nodes("dummy:" + config)) {
    total += count;
    std::printf("%4zu %s\n", count, name.c_str());
  }
  std::printf("%4zu nodes in all\n", total);
  EXPECT_EQ(total, 178u);  // docs/gpu.md, Nodes
}

// Prompts in chunks beside decodes, filtered draws; logprobs, which captured steps lack.
TEST_F(StepCalls, FromTheFirstStepOnNothingIsAllocatedOrCaptured) {
  make(TRIREME_SOURCE_DIR "/tests/data/golden/models/llama-gqa", 4);
  start();
  std::vector<ScriptedRequest> requests(4);
  for (size_t i = 0; i < requests.size(); ++i) {
    requests[i].prompt.assign(3 + 20 * i, 7);
    requests[i].new_tokens = 8;
    requests[i].chunk = 9;
    requests[i].start_step = static_cast<int32_t>(3 * i);
  }
  requests[1].sampling.temperature = 1;
  requests[1].sampling.top_p = 0.5f;
  requests[2].sampling.num_logprobs = 2;
  ScriptLimits limits;
  limits.page_tokens = worker_->kv_layout().page_tokens;
  limits.max_batched_tokens = 32;
  std::vector<StepPlan> plans = plan_requests(requests, limits, 1);
  size_t mixed = 0;
  size_t with_tokens = 0;
  size_t with_logprobs = 0;
  emulation::start_call_trace();
  for (StepPlan& plan : plans) {
    name_key(plan);
    const StepPart& part = plan.parts[0];
    mixed += !part.chunks.empty() && !part.decodes.empty() ? 1 : 0;
    const bool draws_third = std::ranges::find(part.decodes, 2) != part.decodes.end() ||
                             std::ranges::any_of(part.chunks, [](const Chunk& chunk) {
                               return chunk.slot == 2 && chunk.sample;
                             });
    with_logprobs += draws_third ? 1 : 0;
    with_tokens += part.decodes.empty() && part.chunks.empty() ? 0 : 1;
    ASSERT_TRUE(executor().execute(plan).ok());
  }
  ASSERT_TRUE(executor().drain().ok());
  size_t launches = 0;
  for (const emulation::Call& call : emulation::stop_call_trace()) {
    EXPECT_FALSE(emulation::allocates(call)) << call.name;
    EXPECT_NE(call.name, "cudaStreamBeginCapture");
    launches += call.name == "cudaGraphLaunch" ? 1 : 0;
  }
  EXPECT_GT(mixed, 2u);
  EXPECT_EQ(with_logprobs, 8u);
  EXPECT_EQ(launches, with_tokens - with_logprobs);
}

}  // namespace step_calls_test
}  // namespace trireme
