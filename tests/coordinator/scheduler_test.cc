#include "coordinator/engine/scheduling/scheduler.h"

#include <gtest/gtest.h>

namespace trireme {
namespace scheduler_test {

RunningCounts decode(uint64_t arrival, int32_t computed, int32_t pages, int32_t cohort = 0) {
  return {arrival, cohort, computed, 1, pages, true, false, false};
}

RunningCounts prefill(uint64_t arrival, int32_t computed, int32_t left, int32_t pages) {
  return {arrival, 0, computed, left, pages, false, false, false};
}

SchedulerDecision plan(const std::vector<RunningCounts>& running,
                       const std::vector<WaitingCounts>& waiting,
                       int32_t free_pages,
                       int32_t budget = 16,
                       int32_t cohort = 0) {
  SchedulerInput input;
  input.running = running;
  input.waiting = waiting;
  input.cohort = cohort;
  input.page_tokens = 4;
  input.free_pages = free_pages;
  input.max_batched_tokens = budget;
  input.free_slots = 8;
  SchedulerDecision decision;
  schedule(input, decision);
  return decision;
}

TEST(Scheduler, DecodesComeFirstAndChunksGetTheRest) {
  const auto decision = plan({prefill(1, 0, 100, 0), decode(2, 5, 2), decode(3, 6, 2)}, {}, 50);
  EXPECT_EQ(decision.decodes.size(), 2u);
  ASSERT_EQ(decision.chunks.size(), 1u);
  EXPECT_EQ(decision.chunks[0].tokens, 14);
}

TEST(Scheduler, APlanServesOneCohortsDecodes) {
  const std::vector<RunningCounts> running = {decode(1, 5, 2, 0), decode(2, 5, 2, 1)};
  EXPECT_EQ(plan(running, {}, 9, 16, 0).decodes.at(0).index, 0);
  EXPECT_EQ(plan(running, {}, 9, 16, 1).decodes.at(0).index, 1);
}

TEST(Scheduler, ANewcomerNeedsPagesForItsKnownTokensAndOneMore) {
  EXPECT_EQ(plan({}, {{8, 0}}, 3).admitted.size(), 1u);
  EXPECT_TRUE(plan({}, {{8, 0}}, 2).empty());
  EXPECT_EQ(plan({}, {{8, 0, 0}}, 2).admitted.size(), 1u);  // nothing will be appended
}

TEST(Scheduler, NothingBehindARequestThatDoesNotFitIsAdmitted) {
  EXPECT_TRUE(plan({}, {{40, 0}, {2, 0}}, 5).empty());
}

TEST(Scheduler, TheLatestArrivalIsPreemptedAndNeverTheOneInNeed) {
  // Both need a page and none is free: the later one is preempted, the earlier one skips this step.
  const auto decision = plan({decode(1, 8, 2), decode(2, 8, 2)}, {}, 0);
  EXPECT_EQ(decision.preempted, std::vector<int32_t>{1});
  EXPECT_TRUE(decision.decodes.empty());
}

TEST(Scheduler, TheLatestInNeedWaitsItsTurn) {
  const auto decision = plan({decode(1, 7, 2), decode(2, 8, 2)}, {}, 0);
  EXPECT_TRUE(decision.preempted.empty());
  EXPECT_EQ(decision.decodes.size(), 1u);
}

TEST(Scheduler, NothingIsPreemptedWhileEnoughPagesWillReturn) {
  RunningCounts leaving = decode(3, 8, 2);
  leaving.leaving = true;
  const auto decision = plan({decode(1, 8, 2), decode(2, 7, 2), leaving}, {{1, 0}}, 0);
  EXPECT_TRUE(decision.preempted.empty());
  EXPECT_EQ(decision.decodes.size(), 1u);
  EXPECT_TRUE(decision.admitted.empty());  // pages return for running sequences first
}

TEST(Scheduler, APausedSequenceIsNotPlanned) {
  RunningCounts paused = decode(1, 5, 2);
  paused.paused = true;
  EXPECT_TRUE(plan({paused}, {}, 9).empty());
}

TEST(Scheduler, AChunkIsAsLongAsTheFreePagesAllow) {
  const auto decision = plan({prefill(1, 4, 40, 1)}, {}, 2, 100);
  EXPECT_EQ(decision.chunks.at(0).tokens, 8);
}

}  // namespace scheduler_test
}  // namespace trireme
