#include "base/standstill.h"

#include <gtest/gtest.h>

namespace trireme {
namespace {

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

}  // namespace
}  // namespace trireme
