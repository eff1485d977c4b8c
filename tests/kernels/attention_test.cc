#include "tests/kernels/cache_fixture.h"

namespace trireme {
namespace {

class Attention : public CacheTest {
 protected:
  void make_slots(const HeadShape& shape, int64_t tokens) {
    tokens_per_slot = std::max<int32_t>(256, static_cast<int32_t>(tokens));
    make_cache(shape);
    slots_.clear();
    const int64_t columns = (shape.num_heads + 2 * shape.num_kv_heads) * shape.head_dim;
    for (uint32_t slot = 0; slot < kSlots; ++slot) {
      slots_.push_back(random_matrix(wide(), tokens, columns, 20 + slot));
    }
  }
  static QkvSpec plain(const HeadShape& shape) {
    QkvSpec qkv;
    qkv.shape = shape;
    return qkv;
  }
  Matrix run(const std::vector<Segment>& segments, const AttentionSpec& spec) {
    return attend(segments, finish(segments, slots_, plain(spec.shape)), spec);
  }
  // Writes K and V of the tokens before each segment to their pages.
  void fill_before(const std::vector<Segment>& segments, const AttentionSpec& spec) {
    std::vector<Segment> before;
    for (const Segment& segment : segments) {
      if (segment.slot >= 0) before.push_back({segment.slot, 0, segment.start});
    }
    finish(before, slots_, plain(spec.shape));
  }

  // Compares one head of one row with the double loop. The segment's rows of `out` begin at `row`.
  void expect_head(const AttentionSpec& spec,
                   int32_t slot,
                   int32_t position,
                   int64_t head,
                   const Matrix& out,
                   int64_t row) {
    const HeadShape& shape = spec.shape;
    const Matrix& rows = slots_[slot];
    const int dim = shape.head_dim;
    const int64_t group = shape.num_heads / shape.num_kv_heads;
    const int64_t k_column = (shape.num_heads + head / group) * dim;
    const int64_t v_column = k_column + shape.num_kv_heads * dim;
    std::vector<double> weight(position + 1, 0.0);
    double total = 0, score_error = 0, largest = 0;
    const int32_t first = spec.window > 0 ? std::max(0, position - spec.window + 1) : 0;
    for (int32_t j = first; j <= position; ++j) {
      double score = 0, magnitude = 0;
      for (int d = 0; d < dim; ++d) {
        const double product =
            rows.at(position, head * dim + d) * kept(rows.at(j, k_column + d)) * spec.scale;
        score += product;
        magnitude += std::abs(product);
      }
      if (spec.soft_cap > 0) score = spec.soft_cap * std::tanh(score / spec.soft_cap);
      score_error = std::max(
          score_error, sum_tolerance(dim, magnitude, DType::kFloat32) + spec.soft_cap * 0x1p-21);
      weight[j] = std::exp(score);
      total += weight[j];
    }
    const DType weights = GetParam().is_cuda() ? input() : DType::kFloat32;
    for (int d = 0; d < dim; ++d) {
      double expected = 0, magnitude = 0;
      for (int32_t j = first; j <= position; ++j) {
        const double value = kept(rows.at(j, v_column + d));
        expected += weight[j] / total * value;
        magnitude += std::abs(weight[j] / total * value);
        largest = std::max(largest, std::abs(value));
      }
      const double allowed =
          attention_tolerance(position + 1, score_error, magnitude, input(), weights, largest);
      ASSERT_NEAR(out.at(row, head * dim + d), expected, allowed)
          << "dim " << dim << " position " << position << " head " << head << " of "
          << shape.num_heads << " window " << spec.window << " cap " << spec.soft_cap;
    }
  }

  // Compares all heads of every `stride`-th row and of the last row; rows of `out` begin at
  // `first_row`.
  void expect_definition(const AttentionSpec& spec,
                         const Segment& at,
                         const Matrix& out,
                         int64_t first_row = 0,
                         int32_t stride = 1) {
    for (int32_t i = 0; i < at.count; ++i) {
      if (i % stride != 0 && i + 1 != at.count) continue;
      for (int64_t head = 0; head < spec.shape.num_heads; ++head) {
        expect_head(spec, at.slot, at.start + i, head, out, first_row + i);
        if (HasFatalFailure()) return;
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

// Pages past the last token, and the rest of its own page, are NaN here: none of it may be
// multiplied.
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
    if (!takes(spec.shape.head_dim)) continue;
    make_slots(spec.shape, 129);
    const Segment all = {1, 0, 129};
    expect_definition(spec, all, run({all}, spec));
  }
}

// Lengths around the sizes of pages and cuts, as one long segment and as its last row alone;
// windows that begin inside a page, at its edge and before the first token.
TEST_P(Attention, EqualsItsDefinitionForAnyContextAndWindow) {
  for (const int32_t context : {1, 63, 64, 65, 257, 700}) {
    for (const AttentionSpec& spec : {spec_of({4, 2, 16}),
                                      spec_of({2, 1, 72}, 64, 20),
                                      spec_of({3, 1, 128}, 65),
                                      spec_of({2, 2, 10}, 500)}) {
      make_slots(spec.shape, context);
      const Segment all = {1, 0, context}, last = {1, context - 1, 1};
      expect_definition(spec, all, run({all}, spec), 0, 29);
      expect_definition(spec, last, run({last}, spec));
    }
  }
}

// Decodes, later chunks of a prompt, and the start of a prompt, in one call.
TEST_P(Attention, MixedStepsEqualTheirDefinition) {
  for (const AttentionSpec& spec : {spec_of({8, 2, 64}),
                                    spec_of({4, 1, 80}, 100, 30),
                                    spec_of({6, 3, 96}),
                                    spec_of({4, 2, 128}),
                                    spec_of({2, 1, 256}, 77)}) {
    make_slots(spec.shape, 400);
    const std::vector<Segment> segments = {{2, 399, 1}, {0, 255, 3}, {1, 190, 130}};
    fill_before(segments, spec);
    const Matrix out = run(segments, spec);
    expect_definition(spec, segments[0], out, 0);
    expect_definition(spec, segments[1], out, 1);
    expect_definition(spec, segments[2], out, 4, 13);
  }
}

// One KV head for many heads, and groups that fill no tile, or several.
TEST_P(Attention, GroupsOfAnySizeShareTheirKeys) {
  for (const HeadShape& shape : {HeadShape{16, 1, 64},
                                 HeadShape{20, 1, 80},
                                 HeadShape{80, 2, 16},
                                 HeadShape{7, 1, 128},
                                 HeadShape{34, 2, 24}}) {
    const AttentionSpec spec = spec_of(shape);
    make_slots(shape, 330);
    const std::vector<Segment> segments = {{0, 329, 1}, {1, 327, 2}, {2, 0, 70}};
    fill_before(segments, spec);
    const Matrix out = run(segments, spec);
    expect_definition(spec, segments[0], out, 0);
    expect_definition(spec, segments[1], out, 1);
    expect_definition(spec, segments[2], out, 3, 23);
  }
}

// More segments than a warp has lanes or a small device has blocks.
TEST_P(Attention, StepsOfManySegmentsEqualTheirDefinition) {
  const AttentionSpec spec = spec_of({4, 2, 16}, 120);
  make_slots(spec.shape, 310);
  std::vector<Segment> segments;
  for (int32_t i = 0; i < 100; ++i) segments.push_back({i % 3, 3 * i + 1, i % 9 == 0 ? 2 : 1});
  finish({{0, 0, 310}, {1, 0, 310}, {2, 0, 310}}, slots_, plain(spec.shape));
  const Matrix out = run(segments, spec);
  int64_t row = 0;
  for (const Segment& segment : segments) {
    expect_definition(spec, segment, out, row);
    row += segment.count;
  }
}

// A chunk after a long context has too few tiles to fill a device, so it is split and joined.
TEST_P(Attention, AShortChunkAfterALongContextEqualsItsDefinition) {
  for (const AttentionSpec& spec : {spec_of({2, 1, 64}), spec_of({1, 1, 128}, 1100, 15)}) {
    make_slots(spec.shape, 1400);
    const std::vector<Segment> segments = {{1, 1330, 70}, {0, 1399, 1}};
    fill_before(segments, spec);
    const Matrix out = run(segments, spec);
    expect_definition(spec, segments[0], out, 0, 11);
    expect_definition(spec, segments[1], out, 70);
  }
}

// A plan is reusable: the launches of every layer find it as the planner wrote it.
TEST_P(Attention, LayersShareAPlan) {
  const AttentionSpec spec = spec_of({4, 2, 64});
  make_slots(spec.shape, 900);
  std::vector<Segment> segments = {{0, 899, 1}, {1, 300, 200}};
  for (int32_t i = 0; i < 9; ++i) segments.push_back({2, 20 * i, 1});  // more than there are blocks
  finish({{0, 0, 900}, {1, 0, 500}, {2, 0, 300}}, slots_, plain(spec.shape));
  const Matrix q = finish(segments, slots_, plain(spec.shape));
  reset();
  const BatchView batch = batch_of(segments);
  const AttentionPlan plan = make_plan(batch, spec);
  const Tensor placed_q = put(q);
  std::vector<Matrix> outs(3, Matrix(input(), q.rows(), q.columns()));
  for (Matrix& out : outs) {
    const Tensor placed = put(out);
    backend->attention(*queue, workspace, batch, placed_q, spec, plan, pages_, 1, placed);
    get(placed, out);
  }
  expect_definition(spec, segments[0], outs[0], 0);
  expect_definition(spec, segments[1], outs[0], 1, 17);
  for (int64_t row = 0; row < q.rows(); ++row) {
    ASSERT_TRUE(outs[1].same_row(row, outs[0], row));
    ASSERT_TRUE(outs[2].same_row(row, outs[0], row));
  }
}

// A padded step: rows of slot -1 have no position and no pages; segments at the end are empty.
TEST_P(Attention, PaddedRowsAndEmptySegmentsChangeNothing) {
  for (const int32_t last_count : {1, 60}) {
    const AttentionSpec spec = spec_of({4, 2, 32}, 90);
    make_slots(spec.shape, 300);
    const std::vector<Segment> segments = {{1, 299, 1}, {0, 10, last_count}};
    fill_before(segments, spec);
    const Matrix alone = run(segments, spec);
    std::vector<Segment> padded = segments;
    padded.insert(padded.end(), {{-1, 0, 5}, {-1, 0, 0}, {-1, 0, 0}});
    const Matrix out = run(padded, spec);
    expect_definition(spec, segments[0], out, 0);
    expect_definition(spec, segments[1], out, 1);
    if (!GetParam().is_invariant()) continue;
    for (int64_t row = 0; row < alone.rows(); ++row) ASSERT_TRUE(out.same_row(row, alone, row));
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

// Chunked prefill, any batch and any number of threads: the bits of the whole prompt at once (D1).
TEST_P(Attention, ARowHasTheSameBitsForAnyChunksOfItsPrompt) {
  if (!GetParam().is_invariant()) GTEST_SKIP() << "the fast mode does not promise it";
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

// A long prompt in chunks of any size, alone or in a batch, with pages in any order: the same bits
// (D1). A chunk of 512 is processed as many strips of rows, a chunk of 1 as one. Chunks of one row
// are placed around the edges of pages and cuts. fp32 and fp16 outputs reveal another order of a
// sum; bf16 rounds most of it away.
TEST_P(Attention, ARowHasTheSameBitsForAnyPageOrderAndChunkLength) {
  if (!GetParam().is_invariant()) GTEST_SKIP() << "the fast mode does not promise it";
  constexpr int32_t kTokens = 700;
  for (const AttentionSpec& spec :
       {spec_of({4, 2, 16}, 300), spec_of({5, 1, 72}), spec_of({2, 1, 96}, 0, 9)}) {
    make_slots(spec.shape, kTokens);
    const Matrix whole = run({{1, 0, kTokens}}, spec);
    for (const int32_t chunk : {1, 7, 33, 64, 512}) {
      page_step = chunk % 2 == 0 ? 53 : 11;
      make_slots(spec.shape, kTokens);
      finish({{1, 0, kTokens}, {0, 0, kTokens}, {2, 0, kTokens}}, slots_, plain(spec.shape));
      for (int32_t start = 0; start < kTokens; start += chunk) {
        const int32_t count = std::min(chunk, kTokens - start);
        const bool at_edge = (start + count) % 64 < 8 || start == 0 || start + count == kTokens;
        if (chunk < 64 && !at_edge) continue;
        const bool alone = start % 2 == 0;
        std::vector<Segment> segments = {{1, start, count}};
        if (!alone) segments = {{0, 699, 1}, {1, start, count}, {2, start, std::min(2, count)}};
        const Matrix out = run(segments, spec);
        for (int32_t i = 0; i < count; ++i) {
          ASSERT_TRUE(out.same_row(alone ? i : 1 + i, whole, start + i))
              << "dim " << spec.shape.head_dim << " chunk " << chunk << " position " << start + i;
        }
      }
    }
  }
}

// The same query in two heads of one group, or in heads of different groups over equal K and V, has
// the same bits: sharding heads over ranks relies on it (D2).
TEST_P(Attention, AHeadHasTheSameBitsBesideAnyOtherHeads) {
  if (!GetParam().is_invariant()) GTEST_SKIP() << "the fast mode does not promise it";
  const HeadShape alone = {1, 1, 48}, many = {12, 4, 48};
  make_slots(alone, 70);
  const std::vector<Matrix> narrow = slots_;
  const Matrix single = run({{0, 0, 70}}, spec_of(alone));
  make_slots(many, 70);
  for (int64_t t = 0; t < 70; ++t) {
    for (int64_t c = 0; c < slots_[0].columns(); ++c) {
      const int64_t part = c < 12 * 48 ? 0 : c < 16 * 48 ? 48 : 96;
      const bool copied = part > 0 || c / 48 % 5 == 0;  // other heads have another query
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
