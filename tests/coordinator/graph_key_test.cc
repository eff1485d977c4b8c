// The captured step that a plan names depends on the group's buckets alone.
#include <gtest/gtest.h>

#include <set>

#include "tests/coordinator/engine_fixture.h"

namespace trireme {
namespace graph_key_test {

// The plans that an engine sends for `requests` prompts of `length` tokens, each answered by one
// token per row.
std::vector<StepPlan> plans_of(const GroupShape& shape, int requests, int32_t length) {
  Engine engine(options_of());
  std::vector<Effect> effects;
  engine.on(event::GroupReady{shape}, 1, effects);
  for (int i = 0; i < requests; ++i) {
    engine.on(event::Submitted{prompt_of(length, 4, i)}, 1, effects);
  }
  std::vector<StepPlan> plans;
  for (const Effect& effect : effects) {
    if (const auto* sent = std::get_if<effect::SendPlan>(&effect)) plans.push_back(sent->plan);
  }
  return plans;
}

TEST(GraphKeyOfAPlan, IsTheSmallestBucketsOfTheGroupThatFit) {
  GroupShape shape = shape_of();
  shape.token_buckets = {10, 40};
  shape.row_buckets = {3};
  const auto plans = plans_of(shape, 1, 30);
  ASSERT_FALSE(plans.empty());
  EXPECT_EQ(plans[0].graph_key, (GraphKey{40, 3, false}));
  ASSERT_GT(plans.size(), 1u);
  EXPECT_EQ(plans[1].graph_key, (GraphKey{10, 3, true})) << "a decode";
}

TEST(GraphKeyOfAPlan, IsNoneAboveTheLastBucket) {
  GroupShape shape = shape_of();
  shape.token_buckets = {1, 8};
  shape.row_buckets = {1, 8};
  EXPECT_EQ(plans_of(shape, 1, 9).at(0).graph_key, GraphKey());
  EXPECT_NE(plans_of(shape, 1, 8).at(0).graph_key, GraphKey());
}

TEST(GraphKeyOfAPlan, IsNoneForAGroupWithoutCapturedSteps) {
  for (const StepPlan& plan : plans_of(shape_of(), 3, 5)) EXPECT_EQ(plan.graph_key, GraphKey());
}

TEST(TokenBudget, IsTheGroupsUnlessTheCoordinatorHasASmallerOne) {
  EngineOptions options = options_of();
  for (const auto& [asked, expected] : {std::pair(0, 64), {1000, 64}, {16, 16}}) {
    options.max_batched_tokens = asked;
    Engine engine(options);
    std::vector<Effect> effects;
    engine.on(event::GroupReady{shape_of()}, 1, effects);
    engine.on(event::Submitted{prompt_of(100, 4)}, 1, effects);
    for (const Effect& effect : effects) {
      const auto* sent = std::get_if<effect::SendPlan>(&effect);
      if (sent == nullptr) continue;
      EXPECT_EQ(sent->plan.parts[0].chunks.at(0).ids.size(), static_cast<size_t>(expected));
      break;
    }
  }
}

}  // namespace graph_key_test
}  // namespace trireme
