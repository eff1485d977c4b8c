// Frequencies compared with the reference implementation (transformers 5.24), and the table.
#include "model/rope.h"

#include <gtest/gtest.h>

#include <cmath>

namespace trireme {
namespace rope_test {

constexpr int64_t kDim = 16;

void expect_frequencies(const RopeConfig& rope, const std::vector<float>& expected) {
  const std::vector<float> found = rope_inverse_frequencies(rope, kDim);
  ASSERT_EQ(found.size(), expected.size());
  for (size_t i = 0; i < expected.size(); ++i) {
    EXPECT_NEAR(found[i], expected[i], 1e-6 * expected[i]) << i;
  }
}

TEST(Rope, LinearDividesEveryFrequency) {
  RopeConfig rope;
  rope.scaling = RopeScaling::kLinear;
  rope.factor = 2;
  expect_frequencies(rope,
                     {0.5f,
                      0.158113882f,
                      0.0500000007f,
                      0.0158113893f,
                      0.00499999989f,
                      0.00158113893f,
                      0.000500000024f,
                      0.000158113893f});
}

TEST(Rope, Llama3StretchesLongWavelengthsAndInterpolatesMediumOnes) {
  RopeConfig rope;
  rope.scaling = RopeScaling::kLlama3;
  rope.theta = 500000;
  rope.factor = 8;
  rope.original_max_positions = 512;
  expect_frequencies(rope,
                     {1.0f,
                      0.193922758f,
                      0.0273441337f,
                      0.000911583134f,
                      0.000176776681f,
                      3.42810235e-05f,
                      6.64786967e-06f,
                      1.28917316e-06f});
}

TEST(Rope, YarnRampsBetweenKeptAndStretchedDimensions) {
  RopeConfig rope;
  rope.scaling = RopeScaling::kYarn;
  rope.factor = 4;
  rope.original_max_positions = 128;
  expect_frequencies(rope,
                     {1.0f,
                      0.237170815f,
                      0.049999997f,
                      0.00790569466f,
                      0.00249999994f,
                      0.000790569466f,
                      0.000250000012f,
                      7.90569466e-05f});
}

TEST(Rope, TheTableHoldsCosineAndSineTimesTheAttentionFactor) {
  RopeConfig rope;
  rope.attention_factor = 1.25;
  const std::vector<float> table = rope_table(rope, 4, 1000);
  ASSERT_EQ(table.size(), 1000u * 4);
  for (const int position : {0, 1, 17, 999}) {
    for (int i = 0; i < 2; ++i) {
      const double angle = position * (i == 0 ? 1.0 : 0.01);
      EXPECT_NEAR(table[position * 4 + 2 * i], 1.25 * std::cos(angle), 1e-4);
      EXPECT_NEAR(table[position * 4 + 2 * i + 1], 1.25 * std::sin(angle), 1e-4);
    }
  }
}

}  // namespace rope_test
}  // namespace trireme
