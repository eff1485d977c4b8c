#include <algorithm>

#include "kernels/cpu/top_k_top_p.h"
#include "kernels/draw.h"
#include "tests/kernels/sample_fixture.h"
#include "tests/kernels/sampling_golden.h"

namespace trireme {
namespace {

class Sample : public SampleTest {};

double exact_exp_sum(const float* logits, int64_t width, float greatest, float* weights) {
  double total = 0;
  for (int64_t i = 0; i < width; ++i) {
    weights[i] = logits[i] > kNever ? std::exp(logits[i] - greatest) : 0.0f;
    total += weights[i];
  }
  return total;
}

TEST_P(Sample, GreedyTakesTheBestAndTheLowerAmongEquals) {
  SamplingRow greedy;
  greedy.temperature = 0;
  const Matrix logits = repeated({1, 5, -2, 5, 4}, 1);
  EXPECT_EQ(draw_shard(logits, {greedy})[0].id, 1);
  EXPECT_EQ(draw_shard(logits, {greedy}, 100)[0].id, 101);
  EXPECT_EQ(draw_shard(logits, {greedy})[0].value, 5);
  EXPECT_EQ(draw_whole(logits, {greedy})[0].id, 1);
}

TEST_P(Sample, ARowWithoutNumbersDrawsNothing) {
  const float nan = std::nanf("");
  for (const float temperature : {0.0f, 1.0f}) {
    SamplingRow row, filtered;
    row.temperature = filtered.temperature = temperature;
    filtered.top_k = 2;
    filtered.top_p = 0.5f;
    filtered.min_p = 0.1f;
    for (const Matrix& logits : {repeated({kNever, kNever, kNever}, 1),
                                 repeated({nan, nan, nan}, 1),
                                 repeated({nan, kNever, nan}, 1)}) {
      EXPECT_EQ(draw_shard(logits, {row})[0].id, -1);
      EXPECT_EQ(draw_whole(logits, {filtered})[0].id, -1);
    }
    const Matrix one = repeated({nan, kNever, -3, nan}, 1);
    EXPECT_EQ(draw_shard(one, {row})[0].id, 2);
    EXPECT_EQ(draw_whole(one, {filtered})[0].id, 2);
  }
}

// Even if logit / temperature would overflow, the order of the logits decides.
TEST_P(Sample, TheSmallestTemperatureIsGreedy) {
  SamplingRow row;
  row.temperature = 1e-40f;
  SamplingRow filtered = row;
  filtered.top_p = 0.9f;
  const Matrix logits = repeated({-3, 10, 20, 15}, 1);
  EXPECT_EQ(draw_shard(logits, {row})[0].id, 2);
  EXPECT_EQ(draw_whole(logits, {filtered})[0].id, 2);
}

TEST_P(Sample, ZeroTopPKeepsTheBest) {
  SamplingRow row;
  row.top_p = 0;
  EXPECT_EQ(draw_whole(repeated({1, 5, 4.9f, 5}, 1), {row})[0].id, 1);
}

TEST_P(Sample, KeepsTheIdsOfTheReference) {
  for (const GoldenCase& golden : golden_cases()) {
    const auto width = static_cast<int64_t>(golden.logits.size());
    const Matrix adjusted = adjust(repeated(golden.logits, 1), {golden.row}, 0, width);
    SamplingRow best = golden.row;
    best.temperature = 0;
    EXPECT_EQ(draw_whole(adjusted, {best})[0].id, golden.argmax) << golden.name;
    if (golden.row.temperature == 0) continue;
    std::vector<float> logits(width);
    for (int64_t i = 0; i < width; ++i) logits[i] = static_cast<float>(adjusted.at(0, i));
    std::vector<double> scratch(filter_scratch_bytes(width) / sizeof(double));
    EXPECT_EQ(filter_row(logits.data(), width, golden.row, exact_exp_sum, scratch.data()),
              golden.kept)
        << golden.name;
    for (int64_t i = 0; i < width; ++i) {
      EXPECT_EQ(logits[i] > kNever, golden.probabilities[i] > 0) << golden.name << " id " << i;
    }
  }
}

// Pearson's chi-squared statistic; classes of fewer than 5 expected draws are merged. CUDA may be
// an emulated device, where a draw takes milliseconds.
TEST_P(Sample, DrawsFollowTheReferenceDistribution) {
  constexpr int64_t kBatch = 100;
  const int64_t num_draws = backend->info().name == "cuda" ? 200 : 2000;
  for (const GoldenCase& golden : golden_cases()) {
    const auto width = static_cast<int64_t>(golden.logits.size());
    std::vector<int64_t> counts(width, 0);
    for (int64_t first = 0; first < num_draws; first += kBatch) {
      std::vector<SamplingRow> rows(kBatch, golden.row);
      for (int64_t i = 0; i < kBatch; ++i) {
        rows[i].seed = 1234;
        rows[i].token_index = static_cast<uint32_t>(first + i);
      }
      const Matrix adjusted = adjust(repeated(golden.logits, kBatch), rows, 0, width);
      const auto draws =
          rows[0].needs_whole_row() ? draw_whole(adjusted, rows) : draw_shard(adjusted, rows);
      for (const ShardDraw& draw : draws) ++counts[draw.id];
    }
    double statistic = 0, rare_expected = 0, rare_count = 0;
    int classes = 0;
    const auto add_class = [&](double expected, double count) {
      statistic += (count - expected) * (count - expected) / expected;
      ++classes;
    };
    for (int64_t id = 0; id < width; ++id) {
      const double expected = golden.probabilities[id] * static_cast<double>(num_draws);
      if (expected == 0) {
        ASSERT_EQ(counts[id], 0) << golden.name << " id " << id;
      }
      if (expected >= 5) {
        add_class(expected, static_cast<double>(counts[id]));
      } else {
        rare_expected += expected;
        rare_count += static_cast<double>(counts[id]);
      }
    }
    if (rare_expected >= 5) add_class(rare_expected, rare_count);
    const double freedom = std::max(1, classes - 1);
    EXPECT_LT(statistic, freedom + 4 * std::sqrt(2 * freedom)) << golden.name;
  }
}

TEST_P(Sample, ADrawDependsOnItsRowAlone) {
  const Matrix logits = random_matrix(DType::kFloat32, 9, 1003, 1, 3);
  std::vector<SamplingRow> rows(9);
  for (uint32_t i = 0; i < 9; ++i) {
    rows[i].seed = 99 + i / 3;
    rows[i].choice = i % 3;
    rows[i].token_index = 7 * i;
    rows[i].temperature = 0.5f + 0.2f * static_cast<float>(i);
  }
  const auto together = draw_shard(logits, rows);
  for (int64_t i = 0; i < 9; ++i) {
    const auto alone = draw_shard(logits.part(i, 1), {rows[i]});
    EXPECT_EQ(alone[0].id, together[i].id);
    EXPECT_EQ(alone[0].value, together[i].value);
    EXPECT_EQ(draw_whole(logits.part(i, 1), {rows[i]})[0].id, together[i].id);
  }
}

// Shards of any width elect the id of the whole row.
TEST_P(Sample, ShardsElectTheSameId) {
  const Matrix logits = random_matrix(DType::kFloat32, 1, 1003, 2);
  for (uint32_t token = 0; token < 20; ++token) {
    SamplingRow row;
    row.seed = 5;
    row.token_index = token;
    const ShardDraw whole = draw_shard(logits, {row})[0];
    for (const int64_t width : {251, 501}) {
      ShardDraw best;
      for (int64_t begin = 0; begin < 1003; begin += width) {
        const int64_t count = std::min(width, 1003 - begin);
        Matrix shard(DType::kFloat32, 1, count);
        for (int64_t i = 0; i < count; ++i) shard.set(0, i, logits.at(0, begin + i));
        const ShardDraw draw = draw_shard(shard, {row}, begin)[0];
        if (best.id < 0 || draw.value > best.value) best = draw;
      }
      ASSERT_EQ(best.id, whole.id);
      ASSERT_EQ(best.value, whole.value);
    }
  }
}

// The definition, one id at a time, with the functions of kernels/draw.h.
TEST_P(Sample, TheScoreIsTheLogitOverTheTemperaturePlusTheNoise) {
  const Matrix logits = random_matrix(DType::kFloat32, 1, 517, 3);
  SamplingRow row;
  row.seed = 0x123456789abcdefull;
  row.choice = 2;
  row.token_index = 11;
  row.temperature = 0.8f;
  ShardDraw best;
  for (uint32_t id = 0; id < 517; ++id) {
    const uint32_t word = draw_words(row.seed, row.choice, row.token_index, id / 4)[id % 4];
    const float score = static_cast<float>(logits.at(0, id)) / row.temperature + gumbel_noise(word);
    if (best.id < 0 || score > best.value) best = {score, static_cast<int32_t>(id)};
  }
  const ShardDraw draw = draw_shard(logits, {row})[0];
  EXPECT_EQ(draw.id, best.id);
  EXPECT_EQ(draw.value, best.value);
}

TEST_P(Sample, TheBestOfAllShardsIsElected) {
  const std::vector<ShardDraw> draws = {{1, 5},
                                        {2, 6},
                                        {kNever, -1},
                                        {3, 9},  // shard 0
                                        {1, 4},
                                        {2, 7},
                                        {kNever, -1},
                                        {9, -1},
                                        {0, 3},
                                        {8, 8},
                                        {kNever, -1},
                                        {2, 1}};
  int32_t* ids = put(std::vector<int32_t>(5, 77));
  backend->best_of_shards(*queue, put(draws), 3, 4, ids);
  EXPECT_EQ(get(ids, 5), (std::vector<int32_t>{4, 8, -1, 9, 77}));
}

// More rows than are processed together.
TEST_P(Sample, ManyRowsAreDrawnAndRankedLikeFew) {
  constexpr int64_t kRows = 130;
  const Matrix logits = random_matrix(DType::kFloat32, kRows, 300, 9, 2);
  std::vector<SamplingRow> rows(kRows);
  for (int64_t i = 0; i < kRows; ++i) {
    rows[i].token_index = static_cast<uint32_t>(i);
    rows[i].top_k = i == 0 || i > 126 ? 20 : 0;
  }
  const std::vector<int32_t> chosen(kRows, 7);
  const auto draws = draw_whole(logits, rows);
  const auto ranked = logprobs(logits, chosen, 2);
  for (const int64_t i : {0, 127, 128, 129}) {
    const ShardDraw alone = draw_whole(logits.part(i, 1), {rows[i]})[0];
    EXPECT_EQ(draws[i].id, alone.id);
    EXPECT_EQ(draws[i].value, alone.value);
    const auto list = logprobs(logits.part(i, 1), {7}, 2);
    for (int64_t j = 0; j < 3; ++j) {
      EXPECT_EQ(ranked[3 * i + j].id, list[j].id);
      EXPECT_EQ(ranked[3 * i + j].logprob, list[j].logprob);
    }
  }
}

TEST_P(Sample, NoRowsIsNoWork) {
  const Matrix none(DType::kFloat32, 0, 300);
  EXPECT_TRUE(draw_shard(none, {}).empty());
  EXPECT_TRUE(draw_whole(none, {}).empty());
  EXPECT_TRUE(logprobs(none, {}, 3).empty());
  adjust(none, {}, 0, 300);
}

INSTANTIATE_TEST_SUITE_P(Backends, Sample, backends_of_one_mode(), case_name);

}  // namespace
}  // namespace trireme
