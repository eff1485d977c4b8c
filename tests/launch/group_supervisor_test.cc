#include "launch/supervision/group_supervisor.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace trireme {
namespace group_supervisor_test {

using testing::ElementsAre;
using testing::IsEmpty;

constexpr TimeUs kSecond = 1'000'000;

TEST(GroupSupervisor, StartsEveryGroupAtOnceAndEachOnlyOnce) {
  GroupSupervisor supervisor(3);
  EXPECT_THAT(supervisor.take_due(0), ElementsAre(0, 1, 2));
  EXPECT_THAT(supervisor.take_due(0), IsEmpty());
  EXPECT_TRUE(supervisor.is_starting(2));
  EXPECT_EQ(supervisor.next_start_us(), std::nullopt);
}

TEST(GroupSupervisor, CountsTheGroupsThatAreReady) {
  GroupSupervisor supervisor(2);
  supervisor.take_due(0);
  supervisor.on_ready(1, kSecond);
  EXPECT_TRUE(supervisor.is_ready(1));
  EXPECT_FALSE(supervisor.is_ready(0));
  EXPECT_EQ(supervisor.num_ready(), 1);
  EXPECT_FALSE(supervisor.all_ready());
  supervisor.on_ready(0, kSecond);
  EXPECT_TRUE(supervisor.all_ready());
  supervisor.on_lost(0, 2 * kSecond);
  EXPECT_FALSE(supervisor.all_ready());
}

TEST(GroupSupervisor, ALostGroupWaitsForItsDelayAndOthersAreNotAffected) {
  GroupSupervisor supervisor(2);
  supervisor.take_due(0);
  EXPECT_EQ(supervisor.on_lost(1, 5 * kSecond), kSecond);
  EXPECT_EQ(supervisor.next_start_us(), 6 * kSecond);
  EXPECT_THAT(supervisor.take_due(6 * kSecond - 1), IsEmpty());
  EXPECT_THAT(supervisor.take_due(6 * kSecond), ElementsAre(1));
  EXPECT_TRUE(supervisor.is_starting(0));
}

TEST(GroupSupervisor, TheDelayDoublesUpToAMinute) {
  GroupSupervisor supervisor(1);
  std::vector<TimeUs> delays;
  TimeUs now_us = 0;
  for (int i = 0; i < 9; ++i) {
    supervisor.take_due(now_us);
    delays.push_back(supervisor.on_lost(0, now_us) / kSecond);
    now_us += delays.back() * kSecond;
  }
  EXPECT_THAT(delays, ElementsAre(1, 2, 4, 8, 16, 32, 60, 60, 60));
}

TEST(GroupSupervisor, AMinuteInReadyResetsTheDelay) {
  GroupSupervisor supervisor(1);
  supervisor.take_due(0);
  supervisor.on_lost(0, 0);
  supervisor.on_lost(0, 0);
  supervisor.on_ready(0, 10 * kSecond);
  EXPECT_EQ(supervisor.on_lost(0, 70 * kSecond - 1), 4 * kSecond);
  supervisor.on_ready(0, 100 * kSecond);
  EXPECT_EQ(supervisor.on_lost(0, 160 * kSecond), kSecond);
}

TEST(GroupSupervisor, AGroupThatHadWorkedStartsAtOnce) {
  GroupSupervisor supervisor(1);
  supervisor.take_due(0);
  supervisor.on_lost(0, 0);
  supervisor.take_due(kSecond);
  supervisor.on_ready(0, 2 * kSecond);
  EXPECT_EQ(supervisor.on_lost(0, 3 * kSecond, true), 0);
  EXPECT_THAT(supervisor.take_due(3 * kSecond), ElementsAre(0));
  EXPECT_EQ(supervisor.on_lost(0, 4 * kSecond), kSecond) << "and then did not";
}

TEST(GroupSupervisor, GroupsThatWaitForACoordinatorKeepTheirProcess) {
  GroupSupervisor supervisor(2);
  supervisor.take_due(0);
  supervisor.on_ready(0, kSecond);
  supervisor.on_lost(1, kSecond);
  supervisor.await_all(2 * kSecond);
  EXPECT_TRUE(supervisor.is_starting(0));
  EXPECT_FALSE(supervisor.is_starting(1));
  EXPECT_THAT(supervisor.take_due(9 * kSecond), ElementsAre(1));
  supervisor.on_ready(0, 2 * kSecond);
  EXPECT_TRUE(supervisor.is_ready(0));
}

TEST(GroupSupervisor, GroupsThatOthersEndedStartAtOnceAndKeepTheirDelay) {
  GroupSupervisor supervisor(3);
  supervisor.take_due(0);
  supervisor.on_ready(0, kSecond);
  supervisor.on_lost(2, 0);
  supervisor.on_lost(2, 0);
  supervisor.restart_all(kSecond);
  EXPECT_EQ(supervisor.num_ready(), 0);
  EXPECT_THAT(supervisor.take_due(kSecond), ElementsAre(0, 1));
  EXPECT_THAT(supervisor.take_due(2 * kSecond), ElementsAre(2));
  supervisor.restart_all(2 * kSecond);
  EXPECT_THAT(supervisor.take_due(2 * kSecond), ElementsAre(0, 1, 2));
  EXPECT_EQ(supervisor.on_lost(0, 2 * kSecond), kSecond);
  EXPECT_EQ(supervisor.on_lost(2, 2 * kSecond), 4 * kSecond);
}

}  // namespace group_supervisor_test
}  // namespace trireme
