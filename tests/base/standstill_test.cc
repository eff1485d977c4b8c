#include "base/standstill.h"

#include <gtest/gtest.h>

#include <limits>

#include "base/spin_wait.h"

namespace trireme {
namespace standstill_test {

constexpr TimeUs kSecond = 1'000'000;

TEST(Standstill, IsAGapOfMoreThanASecondBetweenTwoCalls) {
  Standstill standstill;
  EXPECT_EQ(standstill.gap_us(100 * kSecond), 0) << "the first call has no gap before it";
  EXPECT_EQ(standstill.gap_us(101 * kSecond), 0);
  EXPECT_EQ(standstill.gap_us(102 * kSecond + 1), kSecond + 1);
  EXPECT_EQ(standstill.gap_us(102 * kSecond + 2), 0) << "a gap is told once";
}

TEST(Standstill, MayBeginAtTimeZero) {
  Standstill standstill;
  EXPECT_EQ(standstill.gap_us(0), 0);
  EXPECT_EQ(standstill.gap_us(9 * kSecond), 9 * kSecond);
}

TEST(SpinWait, EndsAtItsDeadline) {
  FakeClock clock;
  SpinWait patience(clock, clock.now_us() + 3 * kSecond);
  for (int i = 0; i < 30; ++i) {
    EXPECT_TRUE(patience.wait());
    clock.advance_us(kSecond / 10);
  }
  EXPECT_FALSE(patience.wait());
}

TEST(SpinWait, DoesNotCountTheTimeInWhichItsProcessStoodStill) {
  FakeClock clock;
  SpinWait patience(clock, clock.now_us() + kSecond);
  clock.advance_us(60 * kSecond);
  EXPECT_TRUE(patience.wait());
  clock.advance_us(40 * kSecond);
  EXPECT_TRUE(patience.wait());
  clock.advance_us(kSecond);
  EXPECT_FALSE(patience.wait()) << "no standstill";
}

TEST(SpinWait, MayHaveNoDeadline) {
  FakeClock clock;
  SpinWait patience(clock, std::numeric_limits<TimeUs>::max());
  clock.advance_us(60 * kSecond);
  EXPECT_TRUE(patience.wait());
}

}  // namespace standstill_test
}  // namespace trireme
