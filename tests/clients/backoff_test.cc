// Delays between attempts to connect.
#include "clients/cpp/backoff.h"

#include <gtest/gtest.h>

namespace trireme {
namespace backoff_test {

TEST(Backoff, DelaysDoubleUpToTheLongestAndLoseAtMostAHalf) {
  for (uint64_t seed = 0; seed < 50; ++seed) {
    Backoff backoff(50, 2'000, seed);
    for (const TimeUs whole : {50, 100, 200, 400, 800, 1'600, 2'000, 2'000}) {
      const TimeUs delay = backoff.next_us();
      EXPECT_LE(delay, whole) << "seed " << seed;
      EXPECT_GE(delay, whole / 2) << "seed " << seed;
    }
    backoff.reset();
    EXPECT_LE(backoff.next_us(), 50);
  }
}

TEST(Backoff, TwoSeedsDoNotReturnTogetherAndOneSeedRepeats) {
  Backoff a(1'000'000, 1'000'000, 1);
  Backoff b(1'000'000, 1'000'000, 2);
  Backoff again(1'000'000, 1'000'000, 1);
  const TimeUs first = a.next_us();
  EXPECT_NE(first, b.next_us());
  EXPECT_EQ(first, again.next_us());
}

}  // namespace backoff_test
}  // namespace trireme
