// Slots and pages of groups: preemption of prompts without a reader, loss and size of groups.
#include <gtest/gtest.h>

#include "tests/coordinator/engine_fixture.h"

namespace trireme {
namespace engine_groups_test {

// Values of prompts are kept nowhere: their computation waits for a reader, but not with a slot and
// pages that others need.
TEST(EngineGroups, PromptsWhoseValuesNobodyTakesArePreemptedForWaitingRequests) {
  for (const bool short_of_slots : {true, false}) {
    EngineOptions options = options_of();
    options.max_batched_tokens = 8;
    SimulatedCluster cluster(options, 1);
    GroupShape shape = shape_of(2, short_of_slots ? 256 : 24);
    shape.max_slots = short_of_slots ? 4 : 64;
    shape.max_model_len = 60;
    cluster.add_group(shape);
    for (int i = 0; i < 4; ++i) {
      SubmitRequest unread = prompt_of(50, 1, i);
      unread.kind = RequestKind::kScore;
      unread.credit_bytes = 20;
      cluster.submit(unread);
    }
    cluster.run();
    const int read = cluster.submit(prompt_of(30, 30));
    cluster.run();
    ASSERT_TRUE(cluster.request(read).is_over());
    EXPECT_EQ(cluster.request(read).answers[0].ids, alone(cluster.request(read).submit, 30));
    for (int i = 0; i < 4; ++i) {
      EXPECT_FALSE(cluster.request(i).is_over());
      cluster.credit(i, 1 << 20);
    }
    cluster.run();
    for (int i = 0; i < 4; ++i) EXPECT_EQ(cluster.request(i).prompt_logprobs, 49);
    EXPECT_TRUE(cluster.problems().empty()) << cluster.problems().front();
  }
}

// Scores and probes of a lost group are computed again; those that were sent are not sent twice.
TEST(EngineGroups, ValuesOfALostGroupComeOnce) {
  EngineOptions options = options_of();
  options.max_batched_tokens = 8;
  SimulatedCluster cluster(options, 1);
  cluster.add_group(shape_of());
  SubmitRequest score = prompt_of(60, 1);
  score.kind = RequestKind::kScore;
  const int scored = cluster.submit(score);
  SubmitRequest probe = prompt_of(60, 1);
  probe.kind = RequestKind::kProbe;
  probe.probes = {{0, 3, -1}, {0, 50, 1}, {0, 50, 1}};
  const int probed = cluster.submit(probe);
  while (cluster.request(scored).prompt_logprobs < 20) ASSERT_TRUE(cluster.run_one());
  ASSERT_FALSE(cluster.request(scored).is_over());
  cluster.lose_group(0);
  GroupShape next = shape_of();
  next.epoch = 2;
  cluster.add_group(next);
  cluster.run();
  EXPECT_EQ(cluster.request(scored).prompt_logprobs, 59);
  EXPECT_EQ(cluster.request(probed).probes.size(), 3u);
  for (const int number : {scored, probed}) {
    EXPECT_EQ(cluster.request(number).answers[0].ending.reason, FinishReason::kStop);
  }
  EXPECT_TRUE(cluster.problems().empty()) << cluster.problems().front();
}

TEST(EngineGroups, RequestsOfALostGroupContinueOnTheNextWithoutAGap) {
  SimulatedCluster cluster(options_of(), 1);
  cluster.add_group(shape_of());
  const int number = cluster.submit(prompt_of(9, 60));
  cluster.run(60);
  const size_t before = cluster.request(number).answers[0].ids.size();
  EXPECT_GT(before, 3u);
  EXPECT_LT(before, 60u);
  cluster.lose_group(0);
  cluster.run();
  GroupShape next = shape_of();
  next.epoch = 2;
  cluster.add_group(next);
  cluster.run();
  EXPECT_EQ(cluster.request(number).answers[0].ids, alone(cluster.request(number).submit, 60));
  EXPECT_TRUE(cluster.problems().empty()) << cluster.problems().front();
}

// Groups may differ in pages: a request goes only where it fits.
TEST(EngineGroups, ALongRequestWaitsForAGroupThatCanHoldIt) {
  SimulatedCluster cluster(options_of(), 1);
  GroupShape large = shape_of();
  large.group = 1;
  large.max_slots = 1;
  cluster.add_group(large);
  const int first = cluster.submit(prompt_of(100, 20, 1));
  SubmitRequest other = prompt_of(100, 20, 2);
  other.prompt[0] = 7;  // no common prefix, which would prefer the group that caches it
  const int second = cluster.submit(other);
  GroupShape small = shape_of(1, 20);  // 80 tokens
  small.group = 0;
  cluster.add_group(small);
  cluster.run();
  for (const int number : {first, second}) {
    EXPECT_EQ(cluster.request(number).answers[0].ids, alone(cluster.request(number).submit, 20));
  }
}

TEST(EngineGroups, ARequestThatFitsNoGroupAnyMoreEndsWithAnError) {
  SimulatedCluster cluster(options_of(), 1);
  cluster.add_group(shape_of());
  const int lost = cluster.submit(prompt_of(100, 50));
  const int kept = cluster.submit(prompt_of(10, 50));
  cluster.run(20);
  cluster.lose_group(0);
  GroupShape smaller = shape_of(1, 20);
  smaller.epoch = 2;
  cluster.add_group(smaller);
  cluster.run();
  EXPECT_EQ(cluster.request(lost).answers[0].finishes, 1);
  EXPECT_EQ(error_id(cluster.request(lost).answers[0].ending.error), "TRI-REQ-040");
  EXPECT_EQ(cluster.request(kept).answers[0].ids, alone(cluster.request(kept).submit, 50));
}

}  // namespace engine_groups_test
}  // namespace trireme
