#include <fstream>
#include <nlohmann/json.hpp>

#include "kernels/cpu/filter.h"
#include "kernels/draw.h"
#include "tests/kernels/op_fixture.h"

namespace trireme {
namespace {

constexpr float kNever = -std::numeric_limits<float>::infinity();

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
  const std::string folder = TRIREME_TEST_DATA "/golden/sampling/";
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

Matrix repeated(const std::vector<float>& logits, int64_t rows) {
  const auto width = static_cast<int64_t>(logits.size());
  Matrix matrix(DType::kFloat32, rows, width);
  for (int64_t row = 0; row < rows; ++row) {
    for (int64_t i = 0; i < width; ++i) matrix.set(row, i, logits[i]);
  }
  return matrix;
}

double exact_exp_sum(const float* logits, int64_t width, float greatest, float* weights) {
  double total = 0;
  for (int64_t i = 0; i < width; ++i) {
    weights[i] = logits[i] > kNever ? std::exp(logits[i] - greatest) : 0.0f;
    total += weights[i];
  }
  return total;
}

constexpr ShardDraw kUndrawn = {0, -7};

class Sample : public OpTest {
 protected:
  Matrix adjust(const Matrix& logits,
                const std::vector<SamplingRow>& rows,
                int64_t first_id,
                int64_t vocabulary) {
    reset();
    Matrix adjusted = logits;
    const Tensor placed = put(logits);
    backend->adjust_logits(*queue, workspace, placed, first_id, vocabulary, put_rows(rows));
    get(placed, adjusted);
    return adjusted;
  }
  std::vector<ShardDraw> draw_shard(const Matrix& logits,
                                    const std::vector<SamplingRow>& rows,
                                    int64_t first_id = 0) {
    reset();
    ShardDraw* draws = put(std::vector<ShardDraw>(rows.size(), kUndrawn));
    backend->draw_shard(*queue, workspace, put(logits), first_id, put_rows(rows), draws);
    return get(draws, static_cast<int64_t>(rows.size()));
  }
  std::vector<ShardDraw> draw_whole(const Matrix& logits, const std::vector<SamplingRow>& rows) {
    reset();
    ShardDraw* draws = put(std::vector<ShardDraw>(rows.size(), kUndrawn));
    backend->draw_whole(*queue, workspace, put(logits), put_rows(rows), draws);
    return get(draws, static_cast<int64_t>(rows.size()));
  }
};

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

// Pearson's statistic of 2,000 draws; classes of fewer than 5 expected draws are taken together.
TEST_P(Sample, DrawsAreDistributedAsTheReferenceSays) {
  constexpr int64_t kBatch = 100, kDraws = 2000;
  for (const GoldenCase& golden : golden_cases()) {
    const auto width = static_cast<int64_t>(golden.logits.size());
    std::vector<int64_t> counts(width, 0);
    for (int64_t first = 0; first < kDraws; first += kBatch) {
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
      const double expected = golden.probabilities[id] * kDraws;
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
  for (const int64_t width : {7, 1024, 5000}) {
    Matrix logits = random_matrix(DType::kFloat32, 2, width, 4, 3);
    logits.set(0, 3, 30);
    logits.set(0, 5, 30);
    logits.set(1, 2, kNever);
    const std::vector<int32_t> chosen = {5, 0};
    reset();
    TokenLogprob* placed = put(std::vector<TokenLogprob>(2 * (1 + kTop)));
    backend->logprobs(*queue, workspace, put(logits), put(chosen), kTop, placed);
    const std::vector<TokenLogprob> out = get(placed, 2 * (1 + kTop));
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

INSTANTIATE_TEST_SUITE_P(Backends, Sample, all_backends(), case_name);

}  // namespace
}  // namespace trireme
