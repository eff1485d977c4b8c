#include "coordinator/doors/ranks/group_health.h"

#include <gtest/gtest.h>

namespace trireme {
namespace group_health_test {

constexpr TimeUs kSecond = 1'000'000;
constexpr TimeUs kNow = 1000 * kSecond;
constexpr TimeUs kLimit = 5 * kSecond;

// A rank that was heard and made progress so many microseconds ago.
RankHealth rank_of(int32_t rank, Phase phase, TimeUs silent_us, TimeUs still_us) {
  return {rank, phase, false, kNow - silent_us, kNow - still_us};
}

GroupHealth running(std::vector<RankHealth> ranks, size_t plans = 1, TimeUs plan_age_us = kNow) {
  GroupHealth group;
  group.gathering = false;
  group.expected_ranks = static_cast<int32_t>(ranks.size());
  group.ranks = std::move(ranks);
  group.plans_in_flight = plans;
  group.oldest_plan_us = kNow - plan_age_us;
  return group;
}

GroupHealth loading(std::vector<RankHealth> ranks, int32_t expected) {
  GroupHealth group;
  group.expected_ranks = expected;
  group.gathering_since_us = kNow;
  group.ranks = std::move(ranks);
  return group;
}

int32_t blamed(const std::optional<Hang>& hang) { return hang ? hang->rank : -2; }

TEST(RunningHang, OfAGroupThatStandsStillTheRankThatComputesIsBlamed) {
  const GroupHealth group = running({rank_of(0, Phase::kWaitTensor, 0, 9 * kSecond),
                                     rank_of(1, Phase::kCompute, 0, 6 * kSecond),
                                     rank_of(2, Phase::kWaitStage, 0, 9 * kSecond)});
  const auto hang = find_running_hang(group, kNow, kLimit);
  ASSERT_EQ(blamed(hang), 1);
  EXPECT_EQ(message_of(hang->cause),
            "TRI-GRP-048: no progress for 6 s with 1 plans in flight, allowed is 5 s");
}

TEST(RunningHang, ASilentRankIsBlamedBeforeOneThatComputes) {
  const GroupHealth group = running({rank_of(0, Phase::kCompute, 0, 9 * kSecond),
                                     rank_of(1, Phase::kWaitTensor, 6 * kSecond, 6 * kSecond)});
  EXPECT_EQ(blamed(find_running_hang(group, kNow, kLimit)), 1);
}

TEST(RunningHang, RanksThatAllWaitGetThreeHeartbeatsMore) {
  const TimeUs grace = 3 * kHeartbeatIntervalUs;
  GroupHealth group = running({rank_of(0, Phase::kWaitIds, 0, kLimit + grace)});
  EXPECT_FALSE(find_running_hang(group, kNow, kLimit));
  group.ranks[0].progress_us -= 1;
  EXPECT_EQ(blamed(find_running_hang(group, kNow, kLimit)), 0);
}

TEST(RunningHang, TheLimitItselfIsAllowed) {
  GroupHealth group = running({rank_of(0, Phase::kCompute, 0, kLimit)});
  EXPECT_FALSE(find_running_hang(group, kNow, kLimit));
  group.ranks[0].progress_us -= 1;
  EXPECT_TRUE(find_running_hang(group, kNow, kLimit));
}

TEST(RunningHang, WithoutPlansOnlySilenceCounts) {
  GroupHealth group = running({rank_of(0, Phase::kCompute, 0, 60 * kSecond)}, 0);
  EXPECT_FALSE(find_running_hang(group, kNow, kLimit));
  group.ranks[0].heard_us = kNow - kLimit - 1;
  EXPECT_TRUE(find_running_hang(group, kNow, kLimit));
}

TEST(RunningHang, StandingStillCountsFromTheOldestPlanOn) {
  const auto idle_before = rank_of(0, Phase::kCompute, 0, 60 * kSecond);
  EXPECT_FALSE(find_running_hang(running({idle_before}, 2, 4 * kSecond), kNow, kLimit));
  EXPECT_TRUE(find_running_hang(running({idle_before}, 2, 6 * kSecond), kNow, kLimit));
}

TEST(LoadingHang, ARankWithoutProgressIsBlamed) {
  const auto group = loading(
      {rank_of(0, Phase::kLoading, 0, kSecond), rank_of(1, Phase::kWarming, 0, 6 * kSecond)}, 2);
  const auto hang = find_loading_hang(group, kNow, kLimit);
  ASSERT_EQ(blamed(hang), 1);
  EXPECT_EQ(error_id(hang->cause), "TRI-GRP-047");
}

TEST(LoadingHang, ARankThatWaitsForStartNeedsOnlyToBeHeard) {
  GroupHealth group = loading({rank_of(0, Phase::kWaitStart, 0, 60 * kSecond)}, 1);
  EXPECT_FALSE(find_loading_hang(group, kNow, kLimit));
  group.gathering = false;  // START was sent: it has to answer
  EXPECT_EQ(blamed(find_loading_hang(group, kNow, kLimit)), 0);
  group.ranks[0].started = true;
  EXPECT_FALSE(find_loading_hang(group, kNow, kLimit));
  group.ranks[0].heard_us = kNow - 6 * kSecond;
  EXPECT_EQ(blamed(find_loading_hang(group, kNow, kLimit)), 0);
}

TEST(LoadingHang, MissingRanksAreReportedWithTheirCountAndNoRankIsBlamed) {
  GroupHealth group = loading({rank_of(0, Phase::kLoading, 0, 0)}, 4);
  EXPECT_FALSE(find_loading_hang(group, kNow, kLimit));
  group.gathering_since_us = kNow - 6 * kSecond;
  const auto hang = find_loading_hang(group, kNow, kLimit);
  ASSERT_EQ(blamed(hang), -1);
  EXPECT_EQ(error_id(hang->cause), "TRI-GRP-051");
  EXPECT_NE(message_of(hang->cause).find("1 of 4 ranks"), std::string::npos);
}

}  // namespace group_health_test
}  // namespace trireme
