#include "tests/simulation/rejoin_run.h"

#include <gtest/gtest.h>

#include "tests/sanitized.h"

namespace trireme {
namespace {

constexpr int64_t kSeeds = is_sanitized() ? 20 : 150;

// A coordinator that ends, at any moment, and starts again restarts no rank; no rank is reset
// inside a step; every rank gets every plan of its life once, in order; the group works again.
TEST(RejoinRun, RanksOutliveTheirCoordinatorWheneverItEnds) {
  RejoinReport sum;
  for (uint64_t seed = 1; seed <= kSeeds; ++seed) {
    const RejoinReport report = run_rejoin_seed(seed);
    ASSERT_EQ(report.failure, "") << "seed " << seed;
    sum.restarts += report.restarts;
    sum.relayed += report.relayed;
    sum.steps += report.steps;
  }
  EXPECT_GT(sum.restarts, 3 * kSeeds);
  EXPECT_GT(sum.relayed, kSeeds / 3);
  EXPECT_GT(sum.steps, 200 * kSeeds);
}

TEST(RejoinRun, ASeedReplaysExactly) {
  const RejoinReport first = run_rejoin_seed(7);
  const RejoinReport again = run_rejoin_seed(7);
  EXPECT_EQ(first.trace_hash, again.trace_hash);
  EXPECT_GT(first.steps, 0);
}

}  // namespace
}  // namespace trireme
