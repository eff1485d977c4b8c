#include <algorithm>
#include <cmath>

#include "tests/kernels/sample_fixture.h"

namespace trireme {
namespace {

class Logprobs : public SampleTest {};

TEST_P(Logprobs, LogprobsAreTheLogSoftmaxGreatestFirst) {
  constexpr int32_t kTop = 20;
  for (const int64_t width : {7, 17, 129, 1024, 4097, 129'000}) {
    Matrix logits = random_matrix(DType::kFloat32, 2, width, 4, 3);
    logits.set(0, 3, 30);
    logits.set(0, 5, 30);
    logits.set(1, 2, kNever);
    const std::vector<int32_t> chosen = {5, 0};
    const std::vector<TokenLogprob> out = logprobs(logits, chosen, kTop);
    for (int64_t t = 0; t < 2; ++t) {
      double total = 0;
      for (int64_t i = 0; i < width; ++i) total += std::exp(logits.at(t, i));
      const TokenLogprob* row = out.data() + t * (1 + kTop);
      for (int32_t j = 0; j <= std::min<int64_t>(kTop, width); ++j) {
        const double expected = logits.at(t, row[j].id) - std::log(total);
        if (std::isinf(expected)) {
          EXPECT_EQ(row[j].logprob, kNever);
        } else {
          EXPECT_NEAR(row[j].logprob, expected, elementwise_tolerance(32, DType::kFloat32));
        }
        if (j >= 2) {
          EXPECT_GE(row[j - 1].logprob, row[j].logprob);
        }
      }
      EXPECT_EQ(row[0].id, chosen[t]);
      for (int64_t j = width + 1; j <= kTop; ++j) EXPECT_EQ(row[j].id, -1);
    }
    EXPECT_EQ(out[1].id, 3);
    EXPECT_EQ(out[2].id, 5);
  }
}

TEST_P(Logprobs, ARowHasTheSameBitsInAnyBatch) {
  const Matrix logits = random_matrix(DType::kFloat32, 5, 10'000, 5, 3);
  const std::vector<TokenLogprob> all = logprobs(logits, {1, 2, 3, 4, 5}, 20);
  for (int64_t t = 0; t < 5; ++t) {
    const auto alone = logprobs(logits.part(t, 1), {static_cast<int32_t>(1 + t)}, 20);
    for (int64_t j = 0; j < 21; ++j) {
      EXPECT_EQ(alone[j].id, all[21 * t + j].id);
      EXPECT_EQ(alone[j].logprob, all[21 * t + j].logprob);
    }
  }
}

// Few distinct values, each many times: lists are in order of value, then of id.
TEST_P(Logprobs, EqualLogitsAreListedByTheirIds) {
  constexpr int64_t kWidth = 129'000;
  Matrix logits(DType::kFloat32, 1, kWidth);
  for (int64_t i = 0; i < kWidth; ++i) logits.set(0, i, i % 10'001 == 17 ? 1 : 0);
  logits.set(0, 0, std::nanf(""));
  logits.set(0, 128'999, -0.0);
  const auto out = logprobs(logits, {128'999}, 20);
  for (int64_t j = 0; j < 20; ++j) {
    const int64_t id = j < 13 ? 17 + 10'001 * j : j - 12;  // 13 ones, then zeros from id 1
    EXPECT_EQ(out[1 + j].id, id) << j;
  }
  EXPECT_EQ(out[0].id, 128'999);
  EXPECT_EQ(out[0].logprob, out[14].logprob);
}

TEST_P(Logprobs, ARowWithoutNumbersListsNothing) {
  const float nan = std::nanf("");
  const auto out = logprobs(repeated({nan, nan, nan}, 1), {-1}, 2);
  EXPECT_EQ(out[0].id, 0) << "a negative choice means id 0";
  EXPECT_TRUE(std::isnan(out[0].logprob));
  EXPECT_EQ(out[1].id, -1);
  EXPECT_EQ(out[2].id, -1);
}

INSTANTIATE_TEST_SUITE_P(Backends, Logprobs, backends_of_one_mode(), case_name);

}  // namespace
}  // namespace trireme
