#include "worker/control/rank_life.h"

#include <gtest/gtest.h>

namespace trireme {
namespace rank_life_test {

const std::string kJournal(kJournalIdBytes, 'j');
constexpr Epochs kLife{5, 2};

class RankLifeTest : public testing::Test {
 protected:
  template <class Message>
  RankLife::Order hear(const Message& message) {
    std::string frame;
    codec_.encode(message, frame);
    const auto order = life_.on_frame(frame);
    EXPECT_TRUE(order.ok()) << order.status();
    return order.ok() ? *order : RankLife::Order();
  }
  void begin(const std::string& journal_id = kJournal) {
    life_.announce({});
    EXPECT_TRUE(hear(Start{kLife, 10, journal_id}).start.has_value());
    life_.on_started(kLife);
  }
  // Whether the plan is to be executed.
  bool plan(int64_t step, int64_t retired_through = 0, Epochs epochs = kLife) {
    StepPlan plan;
    plan.epochs = epochs;
    plan.step = step;
    plan.parts.resize(1);
    plan.retired_through = retired_through;
    return hear(plan).plan != nullptr;
  }
  std::vector<int64_t> recall(int64_t first, int64_t last, Epochs epochs = kLife) {
    hear(RecallPlans{epochs, first, last});
    std::vector<int64_t> steps;
    std::string frame;
    while (life_.next_kept_plan(frame)) {
      RankMessage message;
      EXPECT_TRUE(codec_.decode(frame, message).ok());
      const auto& kept = std::get<KeptPlan>(message);
      CoordinatorMessage inner;
      EXPECT_TRUE(codec_.decode(kept.frame, inner).ok());
      EXPECT_EQ(std::get<StepPlan>(inner).step, kept.step);
      EXPECT_EQ(std::get<StepPlan>(inner).epochs, kLife);
      steps.push_back(kept.step);
    }
    return steps;
  }

  RankLife life_;
  StepCodec codec_;
};

TEST_F(RankLifeTest, TellsItsPreviousLifeToTheNextCoordinator) {
  EXPECT_FALSE(life_.opening(0).has_value()) << "it has not loaded";
  begin();
  for (int64_t step = 1; step <= 3; ++step) EXPECT_TRUE(plan(step));
  EXPECT_TRUE(life_.reports(kLife));
  ASSERT_TRUE(life_.on_lost());
  EXPECT_FALSE(life_.reports(kLife)) << "results of a lost coordinator are for nobody";
  const auto hello = life_.opening(2);
  ASSERT_TRUE(hello.has_value());
  EXPECT_EQ(hello->previous_life, (PreviousLife{kJournal, kLife, 3, 2}));
  EXPECT_FALSE(life_.has_caught_up(2));
  EXPECT_TRUE(life_.has_caught_up(3));
}

TEST_F(RankLifeTest, ARankThatHasNotStartedTellsNoLife) {
  life_.announce({});
  ASSERT_TRUE(life_.on_lost()) << "it may have loaded for minutes";
  ASSERT_TRUE(life_.opening(0).has_value());
  EXPECT_FALSE(life_.opening(0)->previous_life.has_value());
}

TEST_F(RankLifeTest, WithoutAJournalItEndsWithItsCoordinator) {
  begin("");
  EXPECT_FALSE(life_.on_lost());
}

TEST_F(RankLifeTest, StepsOfTheLastLifeAreNotThoseOfOneThatHasNotBegun) {
  begin();
  plan(1);
  ASSERT_TRUE(life_.on_lost());
  ASSERT_TRUE(hear(Start{{6, 1}, 10, kJournal}).start.has_value());
  ASSERT_TRUE(life_.on_lost()) << "before the step loop has reset";
  EXPECT_EQ(life_.opening(1)->previous_life, (PreviousLife{kJournal, {6, 1}, 0, 0}));
}

TEST_F(RankLifeTest, KeepsPlansUntilAllRanksHaveThem) {
  begin();
  for (int64_t step = 1; step <= 4; ++step) plan(step, step == 4 ? 2 : 0);
  EXPECT_EQ(recall(1, 9), (std::vector<int64_t>{})) << "its own coordinator does not ask";
  ASSERT_TRUE(life_.on_lost());
  EXPECT_EQ(recall(1, 9), (std::vector<int64_t>{3, 4}));
  EXPECT_EQ(recall(4, 4), (std::vector<int64_t>{4}));
  EXPECT_EQ(recall(3, 4, {5, 1}), (std::vector<int64_t>{})) << "of another life";
}

TEST_F(RankLifeTest, KeepsABoundedNumberOfPlans) {
  begin();
  const auto most = static_cast<int64_t>(RankLife::kMaxKeptPlans);
  for (int64_t step = 1; step <= most + 5; ++step) plan(step);
  ASSERT_TRUE(life_.on_lost());
  const auto steps = recall(1, most + 5);
  ASSERT_EQ(steps.size(), RankLife::kMaxKeptPlans);
  EXPECT_EQ(steps.front(), 6);
}

TEST_F(RankLifeTest, DropsRepeatedPlansAndThoseOfOtherLives) {
  begin();
  EXPECT_TRUE(plan(1));
  EXPECT_FALSE(plan(1));
  EXPECT_FALSE(plan(2, 0, {5, 1}));
  EXPECT_FALSE(plan(2, 0, {6, 1}));
  ASSERT_TRUE(life_.on_lost());
  EXPECT_TRUE(plan(2)) << "relayed from another rank";
}

TEST_F(RankLifeTest, ObeysNoEarlierLife) {
  begin();
  EXPECT_FALSE(hear(Start{{5, 1}, 10, kJournal}).start.has_value());
  EXPECT_FALSE(hear(Start{kLife, 10, kJournal}).start.has_value());
  EXPECT_NE(hear(Fence{{6, 0}, "the group has ended"}).fence, nullptr);
  EXPECT_NE(hear(Fence{{1, 0}, "of another journal"}).fence, nullptr)
      << "whoever it comes from: it is addressed to this connection";
  EXPECT_TRUE(hear(Start{{5, 3}, 10, kJournal}).start.has_value());
}

}  // namespace rank_life_test
}  // namespace trireme
