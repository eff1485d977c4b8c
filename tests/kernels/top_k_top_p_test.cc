// Filtered draws over rows of many shapes: the ids that top-k, top-p and min-p keep, and the one
// drawn.
#include <algorithm>

#include "kernels/draw.h"
#include "tests/kernels/sample_fixture.h"

namespace trireme {
namespace {

class FilteredDraw : public SampleTest {};

struct RowShape {
  const char* name;
  int64_t width;
  int64_t num_rows;
  float scale;    // of normal logits
  float offset;   // added to them
  int32_t kinds;  // above 0: only this many distinct values
};
const RowShape kRowShapes[] = {{"one id", 1, 3, 1, 0, 0},
                               {"17", 17, 24, 1, 0, 0},
                               {"129", 129, 24, 1, 0, 0},
                               {"4097", 4097, 24, 1, 0, 0},
                               {"ties", 5000, 24, 1, 0, 5},
                               {"all equal", 9000, 12, 1, 0, 1},
                               {"one bucket of the first digit", 20'000, 12, 0.02f, 5.5f, 0},
                               {"a large vocabulary", 129'000, 3, 2, 0, 0}};

// The same logits in every row, with a NaN and a -inf among them if the row is wide enough.
Matrix shaped_logits(const RowShape& shape) {
  std::mt19937 random(11);
  std::normal_distribution<float> normal(shape.offset, shape.scale);
  std::vector<float> logits(shape.width);
  for (float& logit : logits) {
    logit = shape.kinds > 0 ? static_cast<float>(random() % shape.kinds) : normal(random);
  }
  if (shape.width > 100) {
    logits[3] = std::nanf("");
    logits[shape.width - 1] = kNever;
  }
  return repeated(logits, shape.num_rows);
}

// Steps 4 to 7 by sorting, in fp64. An id that rounding could put on either side of top_p is an
// error of the test's data.
std::vector<char> kept_ids(const Matrix& logits, const SamplingRow& row) {
  const int64_t width = logits.columns();
  std::vector<float> x(width, kNever);
  std::vector<int64_t> order;
  for (int64_t i = 0; i < width; ++i) {
    const auto logit = static_cast<float>(logits.at(0, i));
    if (!(logit > kNever)) continue;
    x[i] = logit / row.temperature;
    order.push_back(i);
  }
  std::stable_sort(order.begin(), order.end(), [&](int64_t a, int64_t b) { return x[a] > x[b]; });
  if (row.top_k > 0 && row.top_k < static_cast<int64_t>(order.size())) order.resize(row.top_k);
  const float greatest = x[order[0]];
  double mass = 0, before = 0;
  for (const int64_t id : order) mass += std::exp(static_cast<double>(x[id]) - greatest);
  std::vector<char> kept(width, 0);
  for (const int64_t id : order) {
    const double probability = std::exp(static_cast<double>(x[id]) - greatest) / mass;
    if (row.top_p < 1) {
      EXPECT_GT(std::abs(before - row.top_p), 1e-7) << "choose other logits";
    }
    const bool is_rare = row.min_p > 0 && std::log(row.min_p) > x[id] - greatest;
    kept[id] = (row.top_p >= 1 || before < row.top_p) && !is_rare;
    before += probability;
  }
  return kept;
}

ShardDraw best_kept(const Matrix& logits, const std::vector<char>& kept, const SamplingRow& row) {
  ShardDraw best{kNever, -1};
  PhiloxBlock words{};
  for (uint32_t id = 0; id < kept.size(); ++id) {
    if (id % 4 == 0) words = draw_words(row.seed, row.choice, row.token_index, id / 4);
    if (!kept[id]) continue;
    const float score =
        static_cast<float>(logits.at(0, id)) / row.temperature + gumbel_noise(words[id % 4]);
    if (score > best.value) best = {score, static_cast<int32_t>(id)};
  }
  return best;
}

struct FilterCase {
  const char* name;
  int32_t top_k;
  float top_p;
  float min_p;
};
// No top_p corresponds to a whole number of equal ids.
const FilterCase kFilters[] = {{"k", 20, 1, 0},
                               {"one", 1, 1, 0},
                               {"p", 0, 0.7123f, 0},
                               {"nearly all", 0, 0.9991f, 0},
                               {"least", 0, 1, 0.2f},
                               {"k and p", 300, 0.6037f, 0},
                               {"all three", 900, 0.9013f, 0.05f},
                               {"more than there are", 1 << 30, 0.5021f, 0}};

// Many draws at a high temperature, where ids at the edge of the kept set are drawn as often as
// others, so that one id too many or too few is noticed.
TEST_P(FilteredDraw, TheDrawIsTheBestOfTheKeptIds) {
  for (const RowShape& shape : kRowShapes) {
    const Matrix logits = shaped_logits(shape);
    for (const FilterCase& filter : kFilters) {
      std::vector<SamplingRow> rows(shape.num_rows);
      for (int64_t i = 0; i < shape.num_rows; ++i) {
        rows[i].seed = 77;
        rows[i].token_index = static_cast<uint32_t>(i);
        rows[i].temperature = 2;
        rows[i].top_k = filter.top_k;
        rows[i].top_p = filter.top_p;
        rows[i].min_p = filter.min_p;
      }
      const std::vector<ShardDraw> draws = draw_whole(logits, rows);
      const std::vector<char> kept = kept_ids(logits, rows[0]);
      for (int64_t i = 0; i < shape.num_rows; ++i) {
        const ShardDraw expected = best_kept(logits, kept, rows[i]);
        ASSERT_EQ(draws[i].id, expected.id) << shape.name << ", " << filter.name << ", row " << i;
        ASSERT_EQ(draws[i].value, expected.value);
      }
    }
  }
}

// Bits, not only ids: a row alone and in a batch of rows with other parameters.
TEST_P(FilteredDraw, AFilteredDrawDependsOnItsRowAlone) {
  const Matrix logits = random_matrix(DType::kFloat32, 12, 9000, 8, 2);
  std::vector<SamplingRow> rows(12);
  for (uint32_t i = 0; i < 12; ++i) {
    rows[i].seed = i;
    rows[i].temperature = i % 4 == 3 ? 0.0f : 1.5f;
    rows[i].top_k = i % 2 == 0 ? 100 : 0;
    rows[i].top_p = i % 3 == 0 ? 0.8f : 1.0f;
    rows[i].min_p = i == 7 ? 0.3f : 0.0f;
  }
  const auto together = draw_whole(logits, rows);
  for (int64_t i = 0; i < 12; ++i) {
    const auto alone = draw_whole(logits.part(i, 1), {rows[i]});
    EXPECT_EQ(alone[0].id, together[i].id);
    EXPECT_EQ(alone[0].value, together[i].value);
  }
}

// As in captured steps: rows of every kind in one batch, NaN where whole rows were not gathered.
TEST_P(FilteredDraw, OnlyTheRowsThatNeedItAreDrawnWhole) {
  Matrix logits = random_matrix(DType::kFloat32, 10, 5000, 8, 2);
  std::vector<SamplingRow> rows(10);
  for (uint32_t i = 0; i < 10; ++i) {
    rows[i].seed = i;
    rows[i].temperature = i % 5 == 4 ? 0.0f : 1.5f;
    rows[i].top_k = i % 5 == 0 || i % 5 == 4 ? 100 : 0;
    rows[i].top_p = i % 5 == 1 ? 0.8f : 1.0f;
    rows[i].min_p = i % 5 == 2 ? 0.3f : 0.0f;
  }
  const auto by_shard = draw_shard(logits, rows);
  const auto all = draw_whole(logits, rows);
  for (int64_t i = 0; i < 10; ++i) {
    const bool needs = rows[i].needs_whole_row();
    EXPECT_EQ(needs, i % 5 < 3);
    EXPECT_EQ(by_shard[i].id, needs ? -1 : all[i].id) << i;
    if (!needs) {
      EXPECT_EQ(by_shard[i].value, all[i].value) << i;
      for (int64_t id = 0; id < 5000; ++id) logits.set(i, id, NAN);
    }
  }
  const auto needed = draw_whole(logits, rows, WholeRows::kNeeded);
  for (int64_t i = 0; i < 10; ++i) {
    const ShardDraw& expected = rows[i].needs_whole_row() ? all[i] : kUndrawn;
    EXPECT_EQ(needed[i].id, expected.id) << i;
    EXPECT_EQ(needed[i].value, expected.value) << i;
  }
}

INSTANTIATE_TEST_SUITE_P(Backends, FilteredDraw, backends_of_one_mode(), case_name);

}  // namespace
}  // namespace trireme
