#include "tests/kernels/cache_fixture.h"

namespace trireme {
namespace {

class QkvFinish : public CacheTest {
 protected:
  static constexpr int32_t kPositions = 200;

  // cos and sin of arbitrary angles, unlike a model's, so that swapping two entries is visible.
  std::vector<float> table_of(int32_t rotary_dim) {
    std::vector<float> table;
    for (int32_t position = 0; position < kPositions; ++position) {
      for (int32_t i = 0; i < rotary_dim / 2; ++i) {
        const double angle = position * std::pow(0.3, i);
        table.push_back(static_cast<float>(std::cos(angle)));
        table.push_back(static_cast<float>(std::sin(angle)));
      }
    }
    return table;
  }

  QkvSpec spec_of(const HeadShape& shape, int32_t rotary_dim, bool has_norm) {
    QkvSpec spec;
    spec.shape = shape;
    spec.rope = {rotary_dim > 0 ? keep(table_of(rotary_dim)) : nullptr, kPositions, rotary_dim};
    if (!has_norm) return spec;
    for (int32_t d = 0; d < shape.head_dim; ++d) {
      q_weight_.push_back(1.0f + 0.01f * static_cast<float>(d));
      k_weight_.push_back(2.0f - 0.01f * static_cast<float>(d));
    }
    spec.q_norm = {keep(q_weight_), shape.head_dim};
    spec.k_norm = {keep(k_weight_), shape.head_dim};
    return spec;
  }

  // Device memory that outlives reset().
  const float* keep(const std::vector<float>& values) {
    kept_.push_back(backend->allocate(static_cast<int64_t>(values.size() * 4), "test").value());
    backend->upload(*queue, kept_.back().data(), std::as_bytes(std::span(values)));
    return reinterpret_cast<const float*>(kept_.back().data());
  }

  // One head in double: norm, then rotation.
  std::vector<double> finished(const Matrix& rows,
                               int64_t row,
                               int64_t column,
                               const QkvSpec& spec,
                               const std::vector<float>& weight) {
    const int32_t dim = spec.shape.head_dim;
    std::vector<double> x(dim);
    double squares = 0;
    for (int32_t d = 0; d < dim; ++d) {
      x[d] = rows.at(row, column + d);
      squares += x[d] * x[d] / dim;
    }
    for (int32_t d = 0; d < dim && !weight.empty(); ++d) {
      x[d] *= (weight[d] + spec.norm_weight_offset) / std::sqrt(squares + 1e-5);
    }
    const std::vector<float> table = table_of(spec.rope.rotary_dim);
    const int32_t half = spec.rope.rotary_dim / 2;
    for (int32_t i = 0; i < half; ++i) {
      const double cosine = table[(row * half + i) * 2], sine = table[(row * half + i) * 2 + 1];
      const double first = x[i], second = x[i + half];
      x[i] = first * cosine - second * sine;
      x[i + half] = second * cosine + first * sine;
    }
    return x;
  }

  std::vector<float> q_weight_, k_weight_;
  std::vector<Buffer> kept_;
};

struct QkvCase {
  HeadShape shape;
  int32_t rotary_dim;
  bool has_norm;
  float weight_offset = 0;
};

// Odd widths too: 10 of 64 stored dimensions, unaligned rows and heads; the full 256 of a warp.
const QkvCase kCases[] = {{{3, 1, 16}, 16, false},
                          {{4, 2, 80}, 80, true},
                          {{2, 2, 32}, 8, true, 1},
                          {{1, 1, 8}, 0, false},
                          {{3, 2, 10}, 10, true},
                          {{5, 1, 256}, 256, true},
                          {{2, 1, 96}, 64, false}};

TEST_P(QkvFinish, NormsRotatesAndReturnsTheQueries) {
  for (const QkvCase& qkv_case : kCases) {
    q_weight_.clear();
    k_weight_.clear();
    const HeadShape& shape = qkv_case.shape;
    make_cache(shape);
    QkvSpec spec = spec_of(shape, qkv_case.rotary_dim, qkv_case.has_norm);
    spec.norm_weight_offset = qkv_case.weight_offset;
    const int64_t columns = (shape.num_heads + 2 * shape.num_kv_heads) * shape.head_dim;
    const std::vector<Matrix> slots = {random_matrix(wide(), 129, columns, 1)};
    const Matrix q = finish({{0, 0, 129}}, slots, spec);
    for (int64_t t = 0; t < 129; ++t) {
      for (int64_t head = 0; head < shape.num_heads; ++head) {
        const auto expected = finished(slots[0], t, head * shape.head_dim, spec, q_weight_);
        for (int32_t d = 0; d < shape.head_dim; ++d) {
          const double size = 8 * (1 + spec.norm_weight_offset);
          ASSERT_NEAR(q.at(t, head * shape.head_dim + d),
                      expected[d],
                      elementwise_tolerance(size, DType::kFloat32) +
                          sum_tolerance(shape.head_dim, size, DType::kFloat32) +
                          elementwise_tolerance(std::abs(expected[d]), wide()))
              << "dim " << shape.head_dim << " row " << t << " head " << head << " d " << d;
        }
      }
    }
  }
}

TEST_P(QkvFinish, KeysAndValuesLieWhereTheLayoutPlacesThem) {
  for (const QkvCase& qkv_case : kCases) {
    q_weight_.clear();
    k_weight_.clear();
    const HeadShape& shape = qkv_case.shape;
    const int32_t dim = shape.head_dim, heads = shape.num_heads, kv_heads = shape.num_kv_heads;
    make_cache(shape);
    const QkvSpec spec = spec_of(shape, qkv_case.rotary_dim, qkv_case.has_norm);
    const int64_t columns = (heads + 2 * kv_heads) * dim;
    const std::vector<Matrix> slots = {random_matrix(wide(), 70, columns, 2),
                                       random_matrix(wide(), 70, columns, 3)};
    finish({{1, 0, 70}}, slots, spec);
    const int32_t page_tokens = pages_.layout.page_tokens;
    for (int32_t t = 0; t < 70; ++t) {
      for (int32_t head = 0; head < kv_heads; ++head) {
        const std::vector<std::byte> block = block_of(1, t, 1, head);
        const auto key = finished(slots[1], t, (heads + head) * dim, spec, k_weight_);
        for (int32_t d = 0; d < dim; ++d) {
          const double step = elementwise_tolerance(8, DType::kFloat32) +
                              sum_tolerance(dim, 8, DType::kFloat32) +
                              elementwise_tolerance(std::abs(key[d]), pages_.layout.dtype);
          const auto stored = [&](bool is_v, int32_t column) {
            return stored_element(pages_.layout, block.data(), is_v, t % page_tokens, column);
          };
          ASSERT_NEAR(stored(false, d), key[d], 2 * step) << "dim " << dim << " token " << t;
          ASSERT_EQ(stored(true, d), kept(slots[1].at(t, (heads + kv_heads + head) * dim + d)));
          if (d > 0) continue;
          for (int32_t behind = dim; behind < pages_.layout.head_dim; ++behind) {
            ASSERT_EQ(stored(false, behind), 0);
            ASSERT_EQ(stored(true, behind), 0);
          }
        }
      }
    }
    EXPECT_EQ(block_of(1, 0, 0, 0)[0], std::byte{0xff}) << "another layer";
    EXPECT_EQ(block_of(0, 0, 1, 0)[0], std::byte{0xff}) << "another slot";
    EXPECT_TRUE(std::isnan(
        stored_element(pages_.layout, block_of(1, 69, 1, 0).data(), true, 70 % page_tokens, 0)))
        << "the token behind the last";
  }
}

// Rows of slot -1 have no position and no page: the other rows are as without them, and no other
// page changes.
TEST_P(QkvFinish, PaddedRowsWriteNoPage) {
  const HeadShape shape = {4, 2, 32};
  const QkvSpec spec = spec_of(shape, 32, true);
  const std::vector<Matrix> slots = {random_matrix(wide(), 40, 8 * 32, 4)};
  make_cache(shape);
  const Matrix alone = finish({{0, 0, 40}}, slots, spec);
  const std::vector<std::byte> pages = get(pages_.base, pages_.num_pages * pages_.page_stride);
  make_cache(shape);
  const Matrix padded = finish({{0, 0, 40}, {-1, 0, 9}, {-1, 0, 0}}, slots, spec);
  for (int32_t row = 0; row < 40; ++row) ASSERT_TRUE(padded.same_row(row, alone, row));
  EXPECT_EQ(get(pages_.base, pages_.num_pages * pages_.page_stride), pages);
}

TEST_P(QkvFinish, ARowHasTheSameBitsInAnyBatch) {
  const HeadShape shape = {4, 2, 32};
  make_cache(shape);
  const QkvSpec spec = spec_of(shape, 32, true);
  const std::vector<Matrix> slots = {random_matrix(wide(), 90, 8 * 32, 4)};
  const Matrix all = finish({{0, 0, 90}}, slots, spec);
  for (const int32_t position : {0, 31, 32, 89}) {
    ASSERT_TRUE(finish({{0, position, 1}}, slots, spec).same_row(0, all, position));
  }
}

// On CUDA heads of aligned chunks stay in registers, others pass through shared memory. Heads of
// each number of lanes, whole and partial; more of them than a warp takes; rotations of a part.
TEST_P(QkvFinish, ARowHasTheSameBitsAtAnyAlignment) {
  for (const QkvCase& qkv_case : {QkvCase{{40, 3, 16}, 16, true},
                                  {{5, 2, 64}, 32, true, 1},
                                  {{3, 1, 80}, 80, true},
                                  {{9, 2, 128}, 128, true},
                                  {{9, 2, 128}, 128, false},
                                  {{2, 1, 96}, 64, false},
                                  {{3, 2, 200}, 48, true},
                                  {{5, 1, 256}, 256, true}}) {
    q_weight_.clear();
    k_weight_.clear();
    const HeadShape& shape = qkv_case.shape;
    QkvSpec spec = spec_of(shape, qkv_case.rotary_dim, qkv_case.has_norm);
    spec.norm_weight_offset = qkv_case.weight_offset;
    const int64_t columns = (shape.num_heads + 2 * shape.num_kv_heads) * shape.head_dim;
    const std::vector<Matrix> slots = {random_matrix(wide(), 70, columns, 5)};
    const std::vector<Segment> segments = {{0, 3, 66}, {-1, 0, 2}};
    make_cache(shape);
    const Matrix aligned = finish(segments, slots, spec);
    const std::vector<std::byte> pages = get(pages_.base, pages_.num_pages * pages_.page_stride);
    make_cache(shape);
    const Matrix shifted = finish(segments, slots, spec, 2);
    for (int32_t row = 0; row < 66; ++row) {
      ASSERT_TRUE(shifted.same_row(row, aligned, row)) << shape.head_dim << " row " << row;
    }
    ASSERT_EQ(get(pages_.base, pages_.num_pages * pages_.page_stride), pages) << shape.head_dim;
  }
}

TEST_P(QkvFinish, CopiedPagesHoldAllLayersAndHeads) {
  make_cache({1, 2, 8});
  std::vector<std::byte> image(pages_.page_stride);
  for (size_t i = 0; i < image.size(); ++i) image[i] = static_cast<std::byte>(i % 251);
  backend->upload(*queue, pages_.block(3, 0, 0), image);
  const std::vector<int32_t> from = {3, 3}, to = {7, 0};
  backend->copy_pages(*queue, pages_, put(from), put(to), 2);
  for (const int32_t page : to) {
    EXPECT_EQ(get(pages_.block(page, 0, 0), pages_.page_stride), image);
  }
  EXPECT_EQ(get(pages_.block(8, 0, 0), 1)[0], std::byte{0xff});
}

INSTANTIATE_TEST_SUITE_P(Backends, QkvFinish, backends_of_one_mode(), case_name);

}  // namespace
}  // namespace trireme
