#include "base/split_mix.h"

#include <gtest/gtest.h>

namespace trireme {
namespace split_mix_test {

TEST(SplitMix, GivesThePublishedNumbersOfASeed) {
  uint64_t state = 1234567;
  EXPECT_EQ(split_mix64(state), 6457827717110365317u);
  EXPECT_EQ(split_mix64(state), 3203168211198807973u);
  EXPECT_EQ(split_mix64(state), 9817491932198370423u);
}

}  // namespace split_mix_test
}  // namespace trireme
