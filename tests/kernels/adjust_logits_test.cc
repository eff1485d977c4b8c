#include <algorithm>
#include <random>

#include "tests/kernels/sample_fixture.h"
#include "tests/kernels/sampling_golden.h"

namespace trireme {
namespace {

class AdjustLogits : public SampleTest {};

// Steps 1 to 3 of the draw for one id (docs/numerics.md).
float adjusted_logit(const SamplingRow& row, float logit, int64_t id, int64_t vocabulary) {
  int32_t count = 0;
  bool is_seen = false;
  for (int32_t i = 0; i < row.num_history; ++i) {
    if (row.history[i] != id) continue;
    is_seen = true;
    count += i >= row.num_prompt;
  }
  if (is_seen) logit = logit > 0 ? logit / row.repetition_penalty : logit * row.repetition_penalty;
  if (count > 0) {
    logit -= row.frequency_penalty * static_cast<float>(count) + row.presence_penalty;
  }
  for (int32_t i = 0; i < row.num_bias; ++i) {
    if (row.bias_ids[i] == id) logit += row.bias_values[i];
  }
  for (int32_t i = 0; i < row.num_banned; ++i) {
    if (row.banned_ids[i] == id) return kNever;
  }
  return id < vocabulary ? logit : kNever;
}

TEST_P(AdjustLogits, BansAndPaddingAreNeverDrawn) {
  const std::vector<int32_t> banned = {12, 3};
  SamplingRow row;
  row.banned_ids = banned.data();
  row.num_banned = 2;
  const Matrix adjusted = adjust(repeated({1, 2, 3, 4, 5, 6}, 1), {row}, 10, 14);
  const double expected[] = {1, 2, kNever, 4, kNever, kNever};
  for (int64_t i = 0; i < 6; ++i) EXPECT_EQ(adjusted.at(0, i), expected[i]);
}

// A shard applies penalties to its own ids only, with the results of the whole row.
TEST_P(AdjustLogits, AShardGetsTheValuesOfTheWholeRow) {
  for (const GoldenCase& golden : golden_cases()) {
    const auto width = static_cast<int64_t>(golden.logits.size());
    const Matrix whole = adjust(repeated(golden.logits, 2), {golden.row, {}}, 0, width);
    for (int64_t begin = 0; begin < width; begin += 37) {
      const int64_t end = std::min(width, begin + 37);
      const std::vector<float> part(golden.logits.begin() + begin, golden.logits.begin() + end);
      const Matrix shard = adjust(repeated(part, 1), {golden.row}, begin, width);
      for (int64_t i = begin; i < end; ++i) {
        ASSERT_EQ(shard.at(0, i - begin), whole.at(0, i)) << golden.name;
        ASSERT_EQ(static_cast<float>(whole.at(1, i)), golden.logits[i]) << "a row without wishes";
      }
    }
  }
}

// Penalties, bias and bans, applied in order, over shards of several blocks.
TEST_P(AdjustLogits, EqualTheDefinitionBitForBit) {
  constexpr int64_t kFirst = 1000, kVocabulary = 21'000;
  for (const int64_t width : {1, 17, 129, 4097, 20'011}) {
    std::mt19937 random(static_cast<uint32_t>(width));
    std::vector<int32_t> history, bias_ids, banned;
    std::vector<float> bias_values;
    for (int32_t i = 0; i < 3000; ++i) history.push_back(static_cast<int32_t>(random() % 22'000));
    for (int32_t i = 0; i < 900; ++i) history.push_back(i % 2 == 0 ? 1000 : 9192);
    for (int32_t i = 0; i < 50; ++i) {
      bias_ids.push_back(static_cast<int32_t>(1000 + random() % 17 * 1200));  // some twice
      bias_values.push_back(0.1f * static_cast<float>(i));
      banned.push_back(static_cast<int32_t>(random() % 22'000));
    }
    SamplingRow row;
    row.repetition_penalty = 1.3f;
    row.presence_penalty = 0.7f;
    row.frequency_penalty = 0.11f;
    row.history = history.data();
    row.num_prompt = 1500;
    row.num_history = static_cast<int32_t>(history.size());
    row.bias_ids = bias_ids.data();
    row.bias_values = bias_values.data();
    row.num_bias = 50;
    row.banned_ids = banned.data();
    row.num_banned = 50;
    const Matrix logits = random_matrix(DType::kFloat32, 3, width, 7, 2);
    const Matrix adjusted = adjust(logits, {row, {}, row}, kFirst, kVocabulary);
    for (int64_t column = 0; column < width; ++column) {
      const int64_t id = kFirst + column;
      for (const int64_t t : {0, 2}) {
        const auto logit = static_cast<float>(logits.at(t, column));
        ASSERT_EQ(adjusted.at(t, column), adjusted_logit(row, logit, id, kVocabulary)) << id;
      }
      const double plain = id < kVocabulary ? logits.at(1, column) : kNever;
      ASSERT_EQ(adjusted.at(1, column), plain);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Backends, AdjustLogits, backends_of_one_mode(), case_name);

}  // namespace
}  // namespace trireme
