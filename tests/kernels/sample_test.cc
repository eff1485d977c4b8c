#include <algorithm>
#include <fstream>
#include <nlohmann/json.hpp>

#include "kernels/cpu/top_k_top_p.h"
#include "kernels/draw.h"
#include "tests/kernels/sample_fixture.h"
#include "tests/test_data.h"

namespace trireme {
namespace {

class Sample : public SampleTest {};

struct GoldenCase {
  std::string name;
  std::vector<float> logits;
  std::vector<double> probabilities;
  std::vector<int32_t> history;
  std::vector<int32_t> bias_ids;
  std::vector<float> bias_values;
  SamplingRow row;
  int64_t kept = 0;
  int32_t argmax = 0;
};

template <class T>
std::vector<T> tensor_values(const std::string& file, const std::string& name) {
  uint64_t header_bytes = 0;
  std::memcpy(&header_bytes, file.data(), sizeof header_bytes);
  const auto header = nlohmann::json::parse(file.substr(8, header_bytes));
  const int64_t begin = header[name]["data_offsets"][0], end = header[name]["data_offsets"][1];
  std::vector<T> values((end - begin) / sizeof(T));
  std::memcpy(values.data(), file.data() + 8 + header_bytes + begin, end - begin);
  return values;
}

std::vector<GoldenCase> golden_cases() {
  const std::string folder = test_data() + "/golden/sampling/";
  std::ifstream json_file(folder + "sampling.json"), tensor_file(folder + "sampling.safetensors");
  const std::string bytes{std::istreambuf_iterator<char>(tensor_file), {}};
  std::vector<GoldenCase> cases;
  for (const auto& json : nlohmann::json::parse(json_file)) {
    GoldenCase& golden = cases.emplace_back();
    golden.name = json["name"];
    golden.logits = tensor_values<float>(bytes, golden.name + ".logits");
    golden.probabilities = tensor_values<double>(bytes, golden.name + ".probs");
    golden.history = json["prompt_ids"].get<std::vector<int32_t>>();
    golden.row.num_prompt = static_cast<int32_t>(golden.history.size());
    for (const int32_t id : json["output_ids"]) golden.history.push_back(id);
    for (const auto& [id, value] : json["logit_bias"].items()) {
      golden.bias_ids.push_back(std::stoi(id));
      golden.bias_values.push_back(value);
    }
    golden.row.temperature = json["temperature"];
    golden.row.top_k = json["top_k"];
    golden.row.top_p = json["top_p"];
    golden.row.min_p = json["min_p"];
    golden.row.repetition_penalty = json["repetition_penalty"];
    golden.row.presence_penalty = json["presence_penalty"];
    golden.row.frequency_penalty = json["frequency_penalty"];
    golden.kept = json["kept"];
    golden.argmax = json["argmax"];
  }
  for (GoldenCase& golden : cases) {  // they no longer move
    golden.row.history = golden.history.data();
    golden.row.num_history = static_cast<int32_t>(golden.history.size());
    golden.row.bias_ids = golden.bias_ids.data();
    golden.row.bias_values = golden.bias_values.data();
    golden.row.num_bias = static_cast<int32_t>(golden.bias_ids.size());
  }
  return cases;
}

double exact_exp_sum(const float* logits, int64_t width, float greatest, float* weights) {
  double total = 0;
  for (int64_t i = 0; i < width; ++i) {
    weights[i] = logits[i] > kNever ? std::exp(logits[i] - greatest) : 0.0f;
    total += weights[i];
  }
  return total;
}

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

TEST_P(Sample, GreedyTakesTheBestAndTheLowerAmongEquals) {
  SamplingRow greedy;
  greedy.temperature = 0;
  const Matrix logits = repeated({1, 5, -2, 5, 4}, 1);
  EXPECT_EQ(draw_shard(logits, {greedy})[0].id, 1);
  EXPECT_EQ(draw_shard(logits, {greedy}, 100)[0].id, 101);
  EXPECT_EQ(draw_shard(logits, {greedy})[0].value, 5);
  EXPECT_EQ(draw_whole(logits, {greedy})[0].id, 1);
}

TEST_P(Sample, ARowOfNothingDrawsNothing) {
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

// Even where logit / temperature would overflow, the order of the logits decides.
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

TEST_P(Sample, BansAndPaddingAreNeverDrawn) {
  const std::vector<int32_t> banned = {12, 3};
  SamplingRow row;
  row.banned_ids = banned.data();
  row.num_banned = 2;
  const Matrix adjusted = adjust(repeated({1, 2, 3, 4, 5, 6}, 1), {row}, 10, 14);
  const double expected[] = {1, 2, kNever, 4, kNever, kNever};
  for (int64_t i = 0; i < 6; ++i) EXPECT_EQ(adjusted.at(0, i), expected[i]);
}

// A shard applies penalties to its own ids alone, and gives what the whole row would hold there.
TEST_P(Sample, ShardsOfALogitRowAreAdjustedAlike) {
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

// Pearson's statistic; classes of fewer than 5 expected draws are taken together. CUDA may be an
// emulated device, where a draw takes milliseconds.
TEST_P(Sample, DrawsAreDistributedAsTheReferenceSays) {
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

// Shards of any width, cut at any id, elect what the whole row elects.
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

// The definition, one id at a time, from the shared header.
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

TEST_P(Sample, LogprobsAreTheLogSoftmaxGreatestFirst) {
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

// Penalties, bias and bans over shards of several blocks, one operation after the other.
TEST_P(Sample, AdjustedLogitsAreTheDefinitionToTheBit) {
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

// More rows than share scratch at a time.
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

TEST_P(Sample, LogprobsOfARowDoNotDependOnItsCompany) {
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

// Few values, each many times: lists are in order of value, then of id.
TEST_P(Sample, EqualLogitsAreListedByTheirIds) {
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

TEST_P(Sample, ARowWithoutNumbersListsNothing) {
  const float nan = std::nanf("");
  const auto out = logprobs(repeated({nan, nan, nan}, 1), {-1}, 2);
  EXPECT_EQ(out[0].id, 0) << "a negative choice means id 0";
  EXPECT_TRUE(std::isnan(out[0].logprob));
  EXPECT_EQ(out[1].id, -1);
  EXPECT_EQ(out[2].id, -1);
}

TEST_P(Sample, NoRowsIsNoWork) {
  const Matrix none(DType::kFloat32, 0, 300);
  EXPECT_TRUE(draw_shard(none, {}).empty());
  EXPECT_TRUE(draw_whole(none, {}).empty());
  EXPECT_TRUE(logprobs(none, {}, 3).empty());
  adjust(none, {}, 0, 300);
}

INSTANTIATE_TEST_SUITE_P(Backends, Sample, all_backends(), case_name);

}  // namespace
}  // namespace trireme
