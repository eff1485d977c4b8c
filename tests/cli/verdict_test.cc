// Verdicts of `verify` over values that are equal, near, wrong, missing or not finite.
#include "clients/cli/verdict.h"

#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>

namespace trireme {
namespace verdict_test {

ReferenceSequence reference() {
  ReferenceSequence sequence;
  sequence.name = "short";
  sequence.input_ids = {1, 2};
  sequence.positions = {0, 1};
  sequence.vocabulary = 3;
  sequence.logits = {1, 2, -10, 4, 5, 6};
  sequence.greedy = {7, 8, 9};
  sequence.greedy_margin = {1, 0.0005f, 1};
  return sequence;
}

std::vector<door::ProbeValues> pieces(const ReferenceSequence& sequence) {
  std::vector<door::ProbeValues> all;
  for (size_t row = 0; row < sequence.positions.size(); ++row) {
    for (int64_t begin = 0; begin < sequence.vocabulary; begin += 2) {  // two pieces per row
      door::ProbeValues piece;
      piece.position = sequence.positions[row];
      piece.offset = begin;
      piece.num_values = sequence.vocabulary;
      const auto* values = sequence.logits.data() + row * sequence.vocabulary;
      piece.values.assign(values + begin, values + std::min(begin + 2, sequence.vocabulary));
      all.push_back(piece);
    }
  }
  return all;
}

TEST(Verdict, EqualValuesPass) {
  const ReferenceSequence sequence = reference();
  const auto verdict = judge(sequence, pieces(sequence), sequence.greedy, DType::kFloat32);
  EXPECT_TRUE(verdict.passed());
  EXPECT_EQ(verdict.max_abs_error, 0);
  EXPECT_FLOAT_EQ(verdict.tolerance, 1e-3f);
  EXPECT_EQ(verdict.greedy_equal, 3u);
  EXPECT_FALSE(verdict_json({verdict}).contains("first_difference"));
}

TEST(Verdict, GreedyTokensBeyondTheMaximumLengthAreNotCompared) {
  std::vector<ReferenceSequence> sequences = {reference(), reference(), reference()};
  sequences[1].input_ids.assign(3, 1);
  sequences[2].input_ids.assign(9, 1);
  EXPECT_EQ(drop_beyond(sequences, 5), 1u + 3u);
  EXPECT_EQ(sequences[0].greedy, reference().greedy);
  EXPECT_EQ(sequences[1].greedy, (std::vector<TokenId>{7, 8}));
  EXPECT_EQ(sequences[1].greedy_margin.size(), 2u);
  EXPECT_TRUE(sequences[2].greedy.empty());
}

TEST(Verdict, TheToleranceIsTheBoundary) {
  const ReferenceSequence sequence = reference();
  auto rows = pieces(sequence);
  rows[2].values[1] += 0.0009f;
  EXPECT_TRUE(judge(sequence, rows, sequence.greedy, DType::kFloat32).passed());
  rows[2].values[1] += 0.0002f;
  const auto verdict = judge(sequence, rows, sequence.greedy, DType::kFloat32);
  EXPECT_FALSE(verdict.passed());
  ASSERT_TRUE(verdict.worst_logit.has_value());
  EXPECT_EQ(verdict.worst_logit->position, 1);
  EXPECT_EQ(verdict.worst_logit->token_id, 1);
}

TEST(Verdict, AMissingRowAndAValueThatIsNotFiniteFail) {
  const ReferenceSequence sequence = reference();
  auto rows = pieces(sequence);
  rows.pop_back();  // half a row
  EXPECT_FALSE(judge(sequence, rows, sequence.greedy, DType::kFloat32).passed());
  rows = pieces(sequence);
  rows[0].values[0] = std::nanf("");
  const auto verdict = judge(sequence, rows, sequence.greedy, DType::kBFloat16);
  EXPECT_FALSE(verdict.passed());
  EXPECT_TRUE(std::isinf(verdict.max_abs_error));
  EXPECT_TRUE(verdict_json({verdict})["max_abs_error"].is_null());
}

TEST(Verdict, AGreedyDifferenceIsExcusedOnlyWithinTwiceTheTolerance) {
  const ReferenceSequence sequence = reference();
  const auto near = judge(sequence, pieces(sequence), {7, 0, 0}, DType::kFloat32);
  EXPECT_TRUE(near.passed());  // margin 0.0005, tolerance 0.001
  EXPECT_EQ(near.greedy_compared, 1u);
  EXPECT_EQ(near.greedy_equal, 1u);
  const auto wrong = judge(sequence, pieces(sequence), {0, 8, 9}, DType::kFloat32);
  EXPECT_FALSE(wrong.passed());
  EXPECT_EQ(wrong.greedy_equal, 0u);
  EXPECT_FALSE(judge(sequence, pieces(sequence), {7, 8}, DType::kFloat32).passed());  // too short
}

TEST(Verdict, TheToleranceInBFloat16FollowsTheReferencesOwnError) {
  ReferenceSequence sequence = reference();
  EXPECT_FLOAT_EQ(sequence.tolerance(DType::kBFloat16), 0.6f);
  sequence.bf16_max_abs = 0.1f;
  EXPECT_FLOAT_EQ(sequence.tolerance(DType::kBFloat16), 0.15f);
  EXPECT_FLOAT_EQ(sequence.tolerance(DType::kFloat32), 1e-3f);
}

TEST(Verdict, TheFirstWrongLayerIsNamed) {
  ReferenceSequence sequence = reference();
  sequence.hidden_rows = 3;
  sequence.hidden_size = 1;
  sequence.hidden_states = {1, 1, 2, 2, 3, 3};  // [layer][token]
  auto rows = pieces(sequence);
  for (int32_t layer = 0; layer < 3; ++layer) {
    for (int32_t t = 0; t < 2; ++t) {
      const float value = sequence.hidden_states[layer * 2 + t] + (layer >= 1 ? 1.0f : 0.0f);
      door::ProbeValues piece;
      piece.position = t;
      piece.layer = layer;
      piece.num_values = 1;
      piece.values = {value};
      rows.push_back(piece);
    }
  }
  const auto verdict = judge(sequence, rows, sequence.greedy, DType::kFloat32);
  ASSERT_TRUE(verdict.layer.has_value());
  EXPECT_EQ(verdict.layer->layer, 1);
  EXPECT_EQ(verdict_json({verdict})["first_difference"]["layer"], 1);
}

TEST(Verdict, TheSummaryShowsTheSequenceWithTheLargestErrorOverTolerance) {
  const ReferenceSequence sequence = reference();
  ReferenceSequence large = sequence;
  large.name = "large";
  for (float& logit : large.logits) logit *= 100;
  auto strained = pieces(sequence);
  strained[0].values[0] += 0.0005f;  // half its tolerance
  auto rows = pieces(large);
  rows[0].values[0] += 0.001f;  // a hundredth of its tolerance
  const auto json = verdict_json({judge(large, rows, large.greedy, DType::kFloat32),
                                  judge(sequence, strained, sequence.greedy, DType::kFloat32)});
  EXPECT_EQ(json["max_abs_logit"], 10.0);
  EXPECT_EQ(json["positions"], 4);
  EXPECT_EQ(json["greedy_tokens"], 6);
}

}  // namespace verdict_test
}  // namespace trireme
