#include "tests/kernels/cache_fixture.h"

namespace trireme {
namespace {

class Attention : public CacheTest {
 protected:
  void make_slots(const HeadShape& shape, int64_t tokens) {
    make_cache(shape);
    slots_.clear();
    const int64_t columns = (shape.num_heads + 2 * shape.num_kv_heads) * shape.head_dim;
    for (uint32_t slot = 0; slot < kSlots; ++slot) {
      slots_.push_back(random_matrix(DType::kFloat32, tokens, columns, 20 + slot));
    }
  }
  Matrix run(const std::vector<Segment>& segments, const AttentionSpec& spec) {
    QkvSpec qkv;
    qkv.shape = spec.shape;
    return attend(segments, finish(segments, slots_, qkv), spec);
  }

  void expect_definition(const AttentionSpec& spec, const Segment& at, const Matrix& out) {
    const HeadShape& shape = spec.shape;
    const Matrix& rows = slots_[at.slot];
    const int dim = shape.head_dim;
    const int64_t group = shape.num_heads / shape.num_kv_heads;
    for (int32_t i = 0; i < at.count; ++i) {
      const int32_t position = at.start + i;
      for (int64_t head = 0; head < shape.num_heads; ++head) {
        const int64_t k_column = (shape.num_heads + head / group) * dim;
        const int64_t v_column = k_column + shape.num_kv_heads * dim;
        std::vector<double> weight(position + 1, 0.0);
        double total = 0, score_error = 0;
        for (int32_t j = 0; j <= position; ++j) {
          if (spec.window > 0 && j <= position - spec.window) continue;
          double score = 0, magnitude = 0;
          for (int d = 0; d < dim; ++d) {
            const double product =
                rows.at(position, head * dim + d) * kept(rows.at(j, k_column + d)) * spec.scale;
            score += product;
            magnitude += std::abs(product);
          }
          if (spec.soft_cap > 0) score = spec.soft_cap * std::tanh(score / spec.soft_cap);
          score_error =
              std::max(score_error,
                       sum_tolerance(dim, magnitude, DType::kFloat32) + spec.soft_cap * 0x1p-21);
          weight[j] = std::exp(score);
          total += weight[j];
        }
        for (int d = 0; d < dim; ++d) {
          double expected = 0, magnitude = 0;
          for (int32_t j = 0; j <= position; ++j) {
            const double term = weight[j] / total * kept(rows.at(j, v_column + d));
            expected += term;
            magnitude += std::abs(term);
          }
          const double allowed = attention_tolerance(position + 1, score_error, magnitude, input());
          ASSERT_NEAR(out.at(i, head * dim + d), expected, allowed)
              << "dim " << dim << " position " << position << " head " << head << " window "
              << spec.window << " cap " << spec.soft_cap;
        }
      }
    }
  }

  std::vector<Matrix> slots_;
};

AttentionSpec spec_of(HeadShape shape, int32_t window = 0, float soft_cap = 0) {
  AttentionSpec spec;
  spec.shape = shape;
  spec.scale = 1.0f / std::sqrt(static_cast<float>(shape.head_dim));
  spec.window = window;
  spec.soft_cap = soft_cap;
  return spec;
}

// Pages beyond the last token, and the rest of its own, are NaN here: none may be multiplied.
TEST_P(Attention, EqualsItsDefinitionInDouble) {
  const AttentionSpec specs[] = {spec_of({1, 1, 8}),
                                 spec_of({6, 2, 16}, 40),
                                 spec_of({4, 4, 32}, 0, 5),
                                 spec_of({8, 2, 64}),
                                 spec_of({5, 1, 80}, 1),
                                 spec_of({14, 2, 96}, 33),
                                 spec_of({2, 1, 128}),
                                 spec_of({3, 3, 256}),
                                 spec_of({2, 1, 1024})};
  for (const AttentionSpec& spec : specs) {
    make_slots(spec.shape, 129);
    const Segment all = {1, 0, 129};
    expect_definition(spec, all, run({all}, spec));
  }
}

TEST_P(Attention, OneTokenSeesOnlyItself) {
  const AttentionSpec spec = spec_of({2, 1, 16});
  make_slots(spec.shape, 1);
  const Matrix out = run({{0, 0, 1}}, spec);
  for (int64_t c = 0; c < 32; ++c) ASSERT_EQ(out.at(0, c), kept(slots_[0].at(0, 48 + c % 16)));
}

TEST_P(Attention, NoTokensIsNoWork) {
  const AttentionSpec spec = spec_of({2, 1, 16});
  make_slots(spec.shape, 1);
  run({}, spec);
}

// Chunked prefill, any company and any threads: the same bits as the whole prompt at once (D1).
TEST_P(Attention, ARowHasTheSameBitsHoweverItsPromptIsCut) {
  for (const AttentionSpec& spec : {spec_of({8, 2, 24}), spec_of({6, 6, 16}, 37, 4)}) {
    use_threads(2);
    make_slots(spec.shape, 131);
    const Matrix whole = run({{1, 0, 131}}, spec);
    for (const int32_t chunk : {1, 7, 33, 64}) {
      use_threads(chunk == 7 ? 1 : 3);
      make_slots(spec.shape, 131);
      for (int32_t start = 0; start < 131; start += chunk) {
        const int32_t count = std::min(chunk, 131 - start);
        const std::vector<Segment> segments = {
            {2, start, std::min(3, count)}, {1, start, count}, {0, start, 1}};
        const Matrix out = run(segments, spec);
        for (int32_t i = 0; i < count; ++i) {
          ASSERT_TRUE(out.same_row(segments[0].count + i, whole, start + i))
              << "chunk " << chunk << " position " << start + i;
        }
      }
    }
  }
}

// A long prompt in chunks of any size, alone or beside others, in pages in any order: the same bits
// (D1). A chunk of 512 is taken in many strips of rows, a chunk of 1 in one.
TEST_P(Attention, ARowHasTheSameBitsWhereverItsPagesLieAndHoweverLongTheChunk) {
  constexpr int32_t kTokens = 545;
  const AttentionSpec spec = spec_of({4, 2, 16}, 300);
  pages_per_slot = 18;
  make_slots(spec.shape, kTokens);
  const Matrix whole = run({{1, 0, kTokens}}, spec);
  for (const int32_t chunk : {1, 7, 33, 512}) {
    for (const int32_t step : {5, 11, 53}) {
      page_step = step;
      make_slots(spec.shape, kTokens);
      const bool alone = step == 5;
      for (int32_t start = 0; start < kTokens; start += chunk) {
        const int32_t count = std::min(chunk, kTokens - start);
        std::vector<Segment> segments = {{1, start, count}};
        if (!alone) segments = {{0, start, 1}, {1, start, count}, {2, start, std::min(2, count)}};
        const Matrix out = run(segments, spec);
        for (int32_t i = 0; i < count; ++i) {
          ASSERT_TRUE(out.same_row(alone ? i : 1 + i, whole, start + i))
              << "chunk " << chunk << " step " << step << " position " << start + i;
        }
      }
    }
  }
}

// The same query in two heads of one group, or in heads of different groups over equal K and V,
// has the same bits: what a cut by heads over ranks relies on (D2).
TEST_P(Attention, AHeadHasTheSameBitsWhateverStandsBesideIt) {
  const HeadShape alone = {1, 1, 48}, many = {12, 4, 48};
  make_slots(alone, 70);
  const std::vector<Matrix> narrow = slots_;
  const Matrix single = run({{0, 0, 70}}, spec_of(alone));
  make_slots(many, 70);
  for (int64_t t = 0; t < 70; ++t) {
    for (int64_t c = 0; c < slots_[0].columns(); ++c) {
      const int64_t part = c < 12 * 48 ? 0 : c < 16 * 48 ? 48 : 96;
      const bool copied = part > 0 || c / 48 % 5 == 0;  // other heads ask something else
      slots_[0].set(t, c, copied ? narrow[0].at(t, part + c % 48) : 0.1 * static_cast<double>(c));
    }
  }
  const Matrix out = run({{0, 0, 70}}, spec_of(many));
  for (int64_t t = 0; t < 70; ++t) {
    for (int64_t d = 0; d < 48; ++d) {
      for (const int64_t head : {0, 5, 10}) {
        ASSERT_EQ(out.at(t, head * 48 + d), single.at(t, d)) << "row " << t << " head " << head;
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Backends, Attention, all_backends(), case_name);

}  // namespace
}  // namespace trireme
