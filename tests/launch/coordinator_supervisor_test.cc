#include "launch/supervision/coordinator_supervisor.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace trireme {
namespace coordinator_supervisor_test {

using testing::ElementsAre;

constexpr TimeUs kSecond = 1'000'000;

TEST(CoordinatorSupervisor, BadInputAndADrainEndTheClusterAndAllElseStartsAgain) {
  EXPECT_FALSE(starts_again(2, false));
  EXPECT_FALSE(starts_again(0, true));
  EXPECT_FALSE(starts_again(3, true)) << "its trace could not be written";
  EXPECT_TRUE(starts_again(0, false));
  EXPECT_TRUE(starts_again(3, false));
  EXPECT_TRUE(starts_again(128 + 9, false));
}

TEST(CoordinatorSupervisor, ALifeThatServedIsFollowedAtOnce) {
  CoordinatorSupervisor supervisor;
  supervisor.on_start(10 * kSecond);
  supervisor.on_doors();
  EXPECT_EQ(supervisor.next_start_us(), std::nullopt);
  EXPECT_FALSE(supervisor.is_due(20 * kSecond)) << "it runs";
  EXPECT_EQ(supervisor.on_end(15 * kSecond), 0);
  EXPECT_EQ(supervisor.next_start_us(), 15 * kSecond);
  EXPECT_TRUE(supervisor.is_due(15 * kSecond));
}

TEST(CoordinatorSupervisor, AShortLifeWithAGroupIsFollowedAtOnceAndOneWithoutIsNot) {
  CoordinatorSupervisor supervisor;
  supervisor.on_start(0);
  supervisor.on_doors();
  supervisor.on_group_ready();
  EXPECT_EQ(supervisor.on_end(kSecond), 0);
  supervisor.on_start(kSecond);
  supervisor.on_doors();
  EXPECT_EQ(supervisor.on_end(2 * kSecond), kSecond);
}

TEST(CoordinatorSupervisor, ShortLivesOneAfterAnotherWaitAlthoughTheirGroupsWereReady) {
  CoordinatorSupervisor supervisor;
  std::vector<TimeUs> delays;
  TimeUs now_us = 0;
  const auto live = [&](TimeUs time_us) {
    supervisor.on_start(now_us);
    supervisor.on_doors();
    supervisor.on_group_ready();
    now_us += time_us;
    delays.push_back(supervisor.on_end(now_us) / kSecond);
    now_us += delays.back() * kSecond;
  };
  for (int i = 0; i < 4; ++i) live(kSecond);
  live(9 * kSecond);
  live(kSecond);
  EXPECT_THAT(delays, ElementsAre(0, 1, 2, 4, 0, 0));
}

TEST(CoordinatorSupervisor, TheFifthShortLifeInARowIsTheLastWhereLossesAreLimited) {
  CoordinatorSupervisor supervisor;
  TimeUs now_us = 0;
  const auto lives_on = [&](TimeUs time_us) {
    supervisor.on_start(now_us);
    now_us += time_us;
    return supervisor.may_start_again(now_us);
  };
  for (int i = 0; i < 9; ++i) EXPECT_TRUE(lives_on(kSecond)) << "without a limit";
  supervisor.limit_losses();
  for (int i = 0; i < 4; ++i) EXPECT_TRUE(lives_on(kSecond));
  EXPECT_TRUE(lives_on(60 * kSecond)) << "a long life counts anew";
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(lives_on(kSecond));
  EXPECT_FALSE(lives_on(kSecond));
}

TEST(CoordinatorSupervisor, AShortLifeAndOneWithoutDoorsWait) {
  CoordinatorSupervisor supervisor;
  supervisor.on_start(0);
  supervisor.on_doors();
  EXPECT_EQ(supervisor.on_end(5 * kSecond - 1), kSecond);
  EXPECT_FALSE(supervisor.is_due(6 * kSecond - 2));
  EXPECT_TRUE(supervisor.is_due(6 * kSecond - 1));
  supervisor.on_start(6 * kSecond);
  EXPECT_EQ(supervisor.on_end(40 * kSecond), 2 * kSecond) << "its doors never opened";
}

TEST(CoordinatorSupervisor, TheDelayDoublesUpToAMinuteAndALifeThatServedEndsIt) {
  CoordinatorSupervisor supervisor;
  std::vector<TimeUs> delays;
  TimeUs now_us = 0;
  for (int i = 0; i < 9; ++i) {
    supervisor.on_start(now_us);
    delays.push_back(supervisor.on_end(now_us) / kSecond);
    now_us += delays.back() * kSecond;
  }
  EXPECT_THAT(delays, ElementsAre(1, 2, 4, 8, 16, 32, 60, 60, 60));
  supervisor.on_start(now_us);
  supervisor.on_doors();
  EXPECT_EQ(supervisor.on_end(now_us + 5 * kSecond), 0);
  supervisor.on_start(now_us);
  EXPECT_EQ(supervisor.on_end(now_us), kSecond);
}

TEST(CoordinatorSupervisor, SilenceCountsFromTheLastLine) {
  CoordinatorSupervisor supervisor;
  EXPECT_FALSE(supervisor.is_silent(100 * kSecond)) << "it does not run";
  supervisor.on_start(100 * kSecond);
  EXPECT_FALSE(supervisor.is_silent(145 * kSecond - 1));
  EXPECT_TRUE(supervisor.is_silent(145 * kSecond));
  supervisor.on_line(145 * kSecond);
  EXPECT_FALSE(supervisor.is_silent(190 * kSecond - 1));
  EXPECT_TRUE(supervisor.is_silent(190 * kSecond));
  supervisor.on_end(190 * kSecond);
  EXPECT_FALSE(supervisor.is_silent(300 * kSecond));
}

TEST(CoordinatorSupervisor, TimeInWhichTheCallerStoodStillDoesNotCount) {
  CoordinatorSupervisor supervisor;
  supervisor.on_start(0);
  supervisor.on_doors();
  supervisor.forgive(60 * kSecond);
  EXPECT_FALSE(supervisor.is_silent(105 * kSecond - 1));
  EXPECT_TRUE(supervisor.is_silent(105 * kSecond));
  EXPECT_EQ(supervisor.on_end(65 * kSecond - 1), kSecond) << "nor as a time in which it served";
}

}  // namespace coordinator_supervisor_test
}  // namespace trireme
