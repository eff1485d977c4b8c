#include "worker/control/watchdog.h"

#include <gtest/gtest.h>

#include "base/swap_queue.h"

namespace trireme {
namespace {

constexpr TimeUs kSecond = 1'000'000;

TEST(Watchdog, NamesTheStepThatMakesNoProgress) {
  Watchdog watchdog({});
  Progress progress;
  progress.step = 17;
  progress.enter(Phase::kCompute);
  EXPECT_TRUE(watchdog.check(progress, 0).ok());
  EXPECT_TRUE(watchdog.check(progress, 5 * kSecond).ok());
  const Status status = watchdog.check(progress, 5 * kSecond + 1);
  EXPECT_EQ(error_id(status), "TRI-GRP-014");
  EXPECT_NE(message_of(status).find("step 17"), std::string::npos);
}

TEST(Watchdog, ReportsNothingWhileOperationsEnd) {
  Watchdog watchdog({});
  Progress progress;
  progress.enter(Phase::kCompute);
  for (TimeUs now = 0; now < 60 * kSecond; now += 4 * kSecond) {
    progress.bump();
    EXPECT_TRUE(watchdog.check(progress, now).ok());
  }
}

TEST(Watchdog, AllowsLoadingMoreTime) {
  Watchdog watchdog({});
  Progress progress;
  progress.enter(Phase::kLoading);
  EXPECT_TRUE(watchdog.check(progress, 0).ok());
  EXPECT_TRUE(watchdog.check(progress, 20 * kSecond).ok());
  EXPECT_FALSE(watchdog.check(progress, 21 * kSecond).ok());
}

TEST(Watchdog, AllowsWorkBeforeTheFirstStepTheTimeOfLoading) {
  for (const int64_t step : {0, 1}) {
    Watchdog watchdog({});
    Progress progress;
    progress.step = step;
    progress.work();
    EXPECT_TRUE(watchdog.check(progress, 0).ok());
    EXPECT_EQ(watchdog.check(progress, 20 * kSecond).ok(), step == 0);
    EXPECT_FALSE(watchdog.check(progress, 21 * kSecond).ok());
  }
}

TEST(Watchdog, DoesNotReportARankThatWaitsForAnother) {
  for (const Phase phase :
       {Phase::kWaitStage, Phase::kWaitIds, Phase::kWaitTensor, Phase::kIdle, Phase::kWaitStart}) {
    Watchdog watchdog({});
    Progress progress;
    progress.enter(phase);
    EXPECT_TRUE(watchdog.check(progress, 0).ok());
    EXPECT_TRUE(watchdog.check(progress, 600 * kSecond).ok());
    progress.enter(Phase::kCompute);  // the time before does not count
    EXPECT_TRUE(watchdog.check(progress, 601 * kSecond).ok());
    EXPECT_TRUE(watchdog.check(progress, 605 * kSecond).ok());
    EXPECT_FALSE(watchdog.check(progress, 607 * kSecond).ok());
  }
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

}  // namespace
}  // namespace trireme
