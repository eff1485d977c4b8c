#include "worker/control/watchdog.h"

#include <gtest/gtest.h>

#include "base/swap_queue.h"
#include "worker/control/link_limits.h"

namespace trireme {
namespace watchdog_test {

constexpr TimeUs kSecond = 1'000'000;

// Checks ten times a second from `begin_us` to `end_us`; the first error, or ok.
Status watch(Watchdog& watchdog, const Progress& progress, TimeUs begin_us, TimeUs end_us) {
  for (TimeUs now_us = begin_us; now_us <= end_us; now_us += kSecond / 10) {
    RETURN_IF_ERROR(watchdog.check(progress, now_us, 0));
  }
  return ok_status();
}

TEST(Watchdog, NamesTheStepThatMakesNoProgress) {
  Watchdog watchdog({});
  Progress progress;
  progress.step = 17;
  progress.enter(Phase::kCompute);
  EXPECT_TRUE(watch(watchdog, progress, 0, 5 * kSecond).ok());
  const Status status = watchdog.check(progress, 5 * kSecond + 1, 0);
  EXPECT_EQ(error_id(status), "TRI-GRP-014");
  EXPECT_NE(message_of(status).find("step 17"), std::string::npos);
}

TEST(Watchdog, ReportsNothingWhileOperationsEnd) {
  Watchdog watchdog({});
  Progress progress;
  progress.enter(Phase::kCompute);
  for (TimeUs now = 0; now < 60 * kSecond; now += 4 * kSecond) {
    progress.bump();
    EXPECT_TRUE(watch(watchdog, progress, now, now + 4 * kSecond).ok());
  }
}

TEST(Watchdog, AllowsLoadingMoreTime) {
  Watchdog watchdog({});
  Progress progress;
  progress.enter(Phase::kLoading);
  EXPECT_TRUE(watch(watchdog, progress, 0, 20 * kSecond).ok());
  EXPECT_FALSE(watch(watchdog, progress, 20 * kSecond, 21 * kSecond).ok());
}

TEST(Watchdog, AllowsWorkBeforeTheFirstStepTheTimeOfLoading) {
  for (const int64_t step : {0, 1}) {
    Watchdog watchdog({});
    Progress progress;
    progress.step = step;
    progress.work();
    EXPECT_EQ(watch(watchdog, progress, 0, 20 * kSecond).ok(), step == 0);
    EXPECT_FALSE(watch(watchdog, progress, 20 * kSecond, 21 * kSecond).ok());
  }
}

TEST(Watchdog, DoesNotReportARankThatWaitsForAnother) {
  for (const Phase phase :
       {Phase::kWaitStage, Phase::kWaitIds, Phase::kWaitTensor, Phase::kIdle, Phase::kWaitStart}) {
    Watchdog watchdog({});
    Progress progress;
    progress.enter(phase);
    EXPECT_TRUE(watch(watchdog, progress, 0, 600 * kSecond).ok());
    progress.enter(Phase::kCompute);  // the time before does not count
    EXPECT_TRUE(watch(watchdog, progress, 600 * kSecond, 605 * kSecond).ok());
    EXPECT_FALSE(watch(watchdog, progress, 605 * kSecond, 606 * kSecond).ok());
  }
}

// The whole process was stopped, its step loop as well as the thread that checks.
TEST(Watchdog, DoesNotCountTheTimeInWhichItsProcessStoodStill) {
  Watchdog watchdog({});
  Progress progress;
  progress.step = 1;
  progress.enter(Phase::kCompute);
  EXPECT_TRUE(watch(watchdog, progress, 0, 2 * kSecond).ok());
  EXPECT_TRUE(watchdog.check(progress, 32 * kSecond, 30 * kSecond).ok());
  EXPECT_TRUE(watch(watchdog, progress, 32 * kSecond, 35 * kSecond).ok());
  EXPECT_FALSE(watch(watchdog, progress, 35 * kSecond, 36 * kSecond).ok());
}

TEST(LinkLimits, EndAtTheirTimes) {
  LinkLimits limits(10 * kSecond);
  limits.open(100 * kSecond);
  EXPECT_FALSE(limits.connect_is_over(110 * kSecond));
  EXPECT_TRUE(limits.connect_is_over(110 * kSecond + 1));
  limits.drain(200 * kSecond);
  EXPECT_FALSE(limits.drain_is_over(203 * kSecond - 1));
  EXPECT_TRUE(limits.drain_is_over(203 * kSecond));
}

TEST(LinkLimits, AreMovedByAStandstill) {
  LinkLimits limits(10 * kSecond);
  limits.open(100 * kSecond);
  EXPECT_EQ(limits.notice_standstill(101 * kSecond), 0);
  limits.drain(101 * kSecond);
  EXPECT_EQ(limits.notice_standstill(161 * kSecond), 60 * kSecond);
  EXPECT_FALSE(limits.connect_is_over(170 * kSecond));
  EXPECT_TRUE(limits.connect_is_over(170 * kSecond + 1));
  EXPECT_FALSE(limits.drain_is_over(164 * kSecond - 1));
  EXPECT_TRUE(limits.drain_is_over(164 * kSecond));
}

TEST(SwapQueue, KeepsOrderRefusesWhenFullAndGivesMemoryBack) {
  SwapQueue<std::vector<int>> queue(2);
  std::vector<int> value = {1};
  ASSERT_TRUE(queue.push(value));
  value = {2};
  ASSERT_TRUE(queue.push(value));
  value = {3};
  EXPECT_FALSE(queue.push(value));
  EXPECT_EQ(value, std::vector<int>{3});
  std::vector<int> popped;
  popped.reserve(100);
  ASSERT_TRUE(queue.pop(popped));
  EXPECT_EQ(popped, std::vector<int>{1});
  ASSERT_TRUE(queue.push(value));
  EXPECT_GE(value.capacity(), 100u);  // memory swapped out of the queue
  ASSERT_TRUE(queue.pop(popped));
  EXPECT_EQ(popped, std::vector<int>{2});
  ASSERT_TRUE(queue.pop(popped));
  EXPECT_EQ(popped, std::vector<int>{3});
  EXPECT_FALSE(queue.pop(popped));
}

}  // namespace watchdog_test
}  // namespace trireme
