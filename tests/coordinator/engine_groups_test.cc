// Slots and pages of groups: preemption of unread streams, loss and size of groups.
#include <gtest/gtest.h>

#include "tests/coordinator/engine_fixture.h"

namespace trireme {
namespace {

// Unread streams release slots and pages to streams that are read; their answers stay complete.
TEST(EngineGroups, UnreadStreamsArePreemptedForWaitingRequests) {
  for (const bool short_of_slots : {true, false}) {
    SimulatedCluster cluster(options_of(), 1);
    GroupShape shape = shape_of(2, short_of_slots ? 256 : 24);
    shape.max_slots = short_of_slots ? 4 : 64;
    shape.max_model_len = 60;
    cluster.add_group(shape);
    for (int i = 0; i < 4; ++i) {
      SubmitRequest unread = prompt_of(9, 40, i);
      unread.credit_bytes = 260;
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
    for (int i = 0; i < 4; ++i) {
      EXPECT_EQ(cluster.request(i).answers[0].ids, alone(cluster.request(i).submit, 40));
    }
    EXPECT_TRUE(cluster.problems().empty()) << cluster.problems().front();
  }
}

TEST(EngineGroups, AStreamShortlyWithoutCreditKeepsItsSlot) {
  SimulatedCluster cluster(options_of(), 1);
  GroupShape shape = shape_of();
  shape.max_slots = 1;
  cluster.add_group(shape);
  SubmitRequest slow = prompt_of(9, 40);
  slow.credit_bytes = 60;
  const int first = cluster.submit(slow);
  cluster.submit(prompt_of(9, 10));
  size_t read = 0;
  for (int entry = 0; entry < 1000 && !cluster.request(first).is_over(); ++entry) {
    cluster.run(1);
    if (cluster.request(first).answers[0].ids.size() < read + 3) continue;
    read += 3;  // all that the credit allowed: granted again at once
    cluster.credit(first, 60);
  }
  cluster.run();
  EXPECT_EQ(cluster.engine().status().preemptions, 0);
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

}  // namespace
}  // namespace trireme
