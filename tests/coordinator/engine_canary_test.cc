// The token by which the Engine tests an idle group, and what it says of the group's health.
#include <gtest/gtest.h>

#include "tests/coordinator/engine_fixture.h"

namespace trireme {
namespace engine_canary_test {

constexpr TimeUs kSecond = 1'000'000;

EngineOptions tested() {
  EngineOptions options = options_of();
  options.canary_us = 5 * kSecond;
  options.journals = true;
  return options;
}

class EngineCanary : public testing::Test {
 protected:
  std::vector<StepPlan> on(Event event, TimeUs now_us) {
    effects_.clear();
    engine_.on(std::move(event), now_us, effects_);
    std::vector<StepPlan> plans;
    for (const Effect& effect : effects_) {
      const auto* sent = std::get_if<effect::SendPlan>(&effect);
      if (sent != nullptr) plans.push_back(sent->plan);
      EXPECT_FALSE(std::holds_alternative<effect::Append>(effect)) << "it is not journaled";
    }
    return plans;
  }
  static event::StepDone done(const StepPlan& plan, bool draws = true) {
    StepResult result;
    result.epochs = plan.epochs;
    result.step = plan.step;
    if (draws) {
      result.slots = {plan.parts[0].chunks.at(0).slot};
      result.counts = {1};
      result.ids = {7};
    }
    return {0, result};
  }

  Engine engine_{tested()};
  std::vector<Effect> effects_;
};

TEST_F(EngineCanary, AGroupIsTestedWhenItIsReadyAndWhileItIsIdle) {
  const auto first = on(event::GroupReady{shape_of()}, 100 * kSecond);
  ASSERT_EQ(first.size(), 1u);
  EXPECT_EQ(first[0].parts[0].chunks.at(0).ids.size(), 1u);
  EXPECT_TRUE(first[0].parts[0].chunks[0].sample);
  EXPECT_EQ(engine_.next_tick_us(), 0) << "it runs";
  EXPECT_TRUE(on(done(first[0]), 101 * kSecond).empty());
  EXPECT_EQ(engine_.next_tick_us(), 106 * kSecond);
  EXPECT_TRUE(on(event::Tick{}, 106 * kSecond - 1).empty());
  const auto second = on(event::Tick{}, 106 * kSecond);
  ASSERT_EQ(second.size(), 1u);
  EXPECT_EQ(second[0].parts[0].closed, (std::vector<SlotId>{first[0].parts[0].opened.at(0).slot}));
  EXPECT_EQ(second[0].step, 2);
}

TEST_F(EngineCanary, ItCountsNowhereAndHoldsNothing) {
  const auto plans = on(event::GroupReady{shape_of()}, 100 * kSecond);
  EXPECT_EQ(engine_.status().running, 0);
  on(done(plans.at(0)), 101 * kSecond);
  const EngineStatus status = engine_.status();
  EXPECT_EQ(status.prompt_tokens, 0);
  EXPECT_EQ(status.output_tokens, 0);
  EXPECT_EQ(status.finished, 0);
  EXPECT_EQ(status.groups.at(0).pages_held, 0);
  EXPECT_EQ(status.groups.at(0).pages_cached, 0);
}

TEST_F(EngineCanary, AnIdleGroupIsHealthyAsLongAsItsTokensComeThrough) {
  auto plans = on(event::GroupReady{shape_of()}, 100 * kSecond);
  EXPECT_EQ(engine_.health(101 * kSecond).reason, "") << "the first one is on its way";
  EXPECT_EQ(engine_.health(106 * kSecond).reason, "group 0 has made no progress for 6000 ms");
  on(done(plans.at(0)), 107 * kSecond);
  EXPECT_EQ(engine_.health(108 * kSecond).reason, "");
  EXPECT_EQ(engine_.health(108 * kSecond).token_age_ms, 1'000);
  plans = on(event::Tick{}, 112 * kSecond);
  on(done(plans.at(0), /*draws=*/false), 113 * kSecond);
  EXPECT_EQ(engine_.health(117 * kSecond).reason, "");
  EXPECT_EQ(engine_.health(117 * kSecond + 1'000).reason,
            "group 0 has drawn no token for 10001 ms");
}

TEST_F(EngineCanary, AGroupThatWorksIsNotTested) {
  auto plans = on(event::GroupReady{shape_of()}, 100 * kSecond);
  on(done(plans.at(0)), 101 * kSecond);
  effects_.clear();
  engine_.on(event::Submitted{prompt_of(5, 3)}, 120 * kSecond, effects_);
  std::vector<size_t> opened;
  for (const Effect& effect : effects_) {
    const auto* sent = std::get_if<effect::SendPlan>(&effect);
    if (sent == nullptr) continue;
    for (const OpenedSlot& slot : sent->plan.parts[0].opened) opened.push_back(slot.num_prompt);
  }
  EXPECT_EQ(opened, (std::vector<size_t>{5})) << "the request, and nothing else";
  EXPECT_NE(engine_.next_tick_us(), 125 * kSecond);
}

TEST(EngineCanarySimulated, RequestsAndTestsShareAGroup) {
  SimulatedCluster cluster(tested(), 3);
  cluster.add_group(shape_of());
  cluster.advance(20 * kSecond);
  EXPECT_GE(cluster.plans_sent(), 4);
  const SubmitRequest submit = prompt_of(9, 12);
  const int number = cluster.submit(submit);
  cluster.advance(20 * kSecond);
  ASSERT_TRUE(cluster.request(number).is_over());
  EXPECT_EQ(cluster.request(number).answers.at(0).ids, alone(submit, 12));
  cluster.lose_group(0);
  cluster.advance(20 * kSecond);
  EXPECT_EQ(cluster.problems(), std::vector<std::string>());
}

}  // namespace engine_canary_test
}  // namespace trireme
