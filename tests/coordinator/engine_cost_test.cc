// The coordinator's cost per step does not depend on context length or queue.
#include <gtest/gtest.h>

#include <deque>

#include "proto/step_codec.h"
#include "tests/coordinator/engine_fixture.h"
#include "tests/worker/counting_new.h"

namespace trireme {
namespace {

// Cost of one step in the coordinator: mean of 64 steps of 8 decodes at one context length.
struct StepCost {
  double allocations = 0;
  double bytes = 0;
};

class CostMeter {
 public:
  explicit CostMeter(int32_t context, int num_waiting = 0)
      : engine_(options()), group_(shape(), kVocabulary) {
    engine_.on(event::GroupReady{shape()}, 1, effects_);
    submit(8, context, 1000);
    while (steady_steps_ < 1) step();
    submit(num_waiting, kTooLong, 10);
  }

  void submit(int count, int32_t length, int32_t max_tokens) {
    for (int i = 0; i < count; ++i) {
      SubmitRequest submit = prompt_of(length, max_tokens, i);
      submit.prompt[0] = i;
      submit.credit_bytes = 1 << 30;
      engine_.on(event::Submitted{submit}, 1, effects_);
    }
  }

  StepCost measure() {
    while (steady_steps_ < 8) step();  // all eight decode, buffers have their size
    cost_ = {};
    for (int i = 0; i < 64; ++i) step();
    return {cost_.allocations / 64, cost_.bytes / 64};
  }

 private:
  static constexpr int32_t kPages = 4096;
  static constexpr int32_t kTooLong = 32 * kPages - 1;  // for the pages that are left

  static GroupShape shape() {
    GroupShape shape = shape_of(1, kPages);
    shape.page_tokens = 32;
    shape.max_model_len = 32 * kPages;
    shape.max_batched_tokens = 8192;  // all prompts in one step: pages end together
    return shape;
  }
  static EngineOptions options() {
    EngineOptions options = options_of();
    options.max_batched_tokens = 8192;
    return options;
  }

  // Executes and encodes the new plans, then commits the oldest result.
  void step() {
    uint64_t durable = 0;
    for (const Effect& effect : effects_) {
      if (const auto* append = std::get_if<effect::Append>(&effect)) durable = append->sequence;
      const auto* send = std::get_if<effect::SendPlan>(&effect);
      if (send == nullptr) continue;
      steady_steps_ = send->plan.parts[0].decodes.size() == 8 ? steady_steps_ + 1 : 0;
      codec_.encode(send->plan, frame_);
      cost_.bytes += static_cast<double>(frame_.size());
      results_.push_back(group_.execute(send->plan));
    }
    effects_.clear();
    event::StepDone done{0, std::move(results_.front())};
    results_.pop_front();
    engine_.on(event::Durable{durable}, 1, effects_);
    effects_.clear();
    const int64_t before = counted_allocations();
    engine_.on(std::move(done), 1, effects_);
    cost_.allocations += static_cast<double>(counted_allocations() - before);
  }

  Engine engine_;
  FakeGroup group_;
  StepCodec codec_;
  std::string frame_;
  std::vector<Effect> effects_;
  std::deque<StepResult> results_;
  int steady_steps_ = 0;
  StepCost cost_;
};

TEST(EngineCost, AStepCostsTheSameAtEveryContextLength) {
  const StepCost near = CostMeter(128).measure();
  const StepCost far = CostMeter(900).measure();
  EXPECT_GT(near.allocations, 0);
  EXPECT_EQ(near.allocations, far.allocations);
  EXPECT_EQ(near.bytes, far.bytes);
}

TEST(EngineCost, AQueueOfLongPromptsDoesNotSlowAStep) {
  EXPECT_EQ(CostMeter(128, 64).measure().allocations, CostMeter(128).measure().allocations);
}

TEST(EngineCost, AWaitingRequestKeepsLittleBesideItsTokens) {
  constexpr int kRequests = 200;
  for (const int32_t prompt : {10, 4000}) {
    Engine engine(options_of());  // no group is ready: everything waits
    std::vector<Effect> effects;
    const int64_t before = counted_live_bytes();
    for (int i = 0; i < kRequests; ++i) {
      SubmitRequest submit = prompt_of(prompt, 100, i);
      submit.prompt[0] = i;
      engine.on(event::Submitted{std::move(submit)}, 1, effects);
      effects.clear();
    }
    EXPECT_EQ(engine.status().waiting, kRequests);
    EXPECT_LE((counted_live_bytes() - before) / kRequests, (64 << 10) + 8 * prompt);
  }
}

}  // namespace
}  // namespace trireme
