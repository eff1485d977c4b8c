#include "tests/simulation/rejoin_run.h"

#include <gtest/gtest.h>

namespace trireme {
namespace {

// A coordinator that ends, at any moment, and starts again restarts no rank; no rank is reset
// inside a step; every rank gets every plan of its life once, in order; the group works again.
TEST(RejoinRun, RanksOutliveTheirCoordinatorWheneverItEnds) {
  RejoinReport sum;
  for (uint64_t seed = 1; seed <= 150; ++seed) {
    const RejoinReport report = run_rejoin_seed(seed);
    ASSERT_EQ(report.failure, "") << "seed " << seed;
    sum.restarts += report.restarts;
    sum.relayed += report.relayed;
    sum.steps += report.steps;
  }
  EXPECT_GT(sum.restarts, 500);
  EXPECT_GT(sum.relayed, 50);
  EXPECT_GT(sum.steps, 30'000);
}

TEST(RejoinRun, ASeedReplaysExactly) {
  const RejoinReport first = run_rejoin_seed(7);
  const RejoinReport again = run_rejoin_seed(7);
  EXPECT_EQ(first.trace_hash, again.trace_hash);
  EXPECT_GT(first.steps, 0);
}

}  // namespace
}  // namespace trireme
