#include "tests/kernels/cache_fixture.h"

namespace trireme {
namespace {

class QkvFinish : public CacheTest {
 protected:
  static constexpr int32_t kPositions = 200;

  // cos and sin of arbitrary angles; not a model's, so that a mix-up of two entries shows.
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
      x[d] *= weight[d] / std::sqrt(squares + 1e-5);
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
};

TEST_P(QkvFinish, NormsRotatesAndReturnsTheQueries) {
  for (const QkvCase& qkv_case : {QkvCase{{3, 1, 16}, 16, false},
                                  QkvCase{{4, 2, 80}, 80, true},
                                  QkvCase{{2, 2, 32}, 8, true},
                                  QkvCase{{1, 1, 8}, 0, false}}) {
    q_weight_.clear();
    k_weight_.clear();
    const HeadShape& shape = qkv_case.shape;
    make_cache(shape);
    const QkvSpec spec = spec_of(shape, qkv_case.rotary_dim, qkv_case.has_norm);
    const int64_t columns = (shape.num_heads + 2 * shape.num_kv_heads) * shape.head_dim;
    const std::vector<Matrix> slots = {random_matrix(DType::kFloat32, 129, columns, 1)};
    const Matrix q = finish({{0, 0, 129}}, slots, spec);
    for (int64_t t = 0; t < 129; ++t) {
      for (int64_t head = 0; head < shape.num_heads; ++head) {
        const auto expected = finished(slots[0], t, head * shape.head_dim, spec, q_weight_);
        for (int32_t d = 0; d < shape.head_dim; ++d) {
          ASSERT_NEAR(q.at(t, head * shape.head_dim + d),
                      expected[d],
                      elementwise_tolerance(8, DType::kFloat32) +
                          sum_tolerance(shape.head_dim, 8, DType::kFloat32));
        }
      }
    }
  }
}

// Layout version 1 of the CPU: K [head_dim][32 tokens], V [32 tokens][head_dim] behind it.
TEST_P(QkvFinish, PagesHoldKeysAndValuesWhereTheLayoutSays) {
  const HeadShape shape = {3, 2, 24};
  make_cache(shape);
  ASSERT_EQ(pages_.layout.version, 1);
  const QkvSpec spec = spec_of(shape, 24, true);
  const std::vector<Matrix> slots = {random_matrix(DType::kFloat32, 40, 7 * 24, 2),
                                     random_matrix(DType::kFloat32, 40, 7 * 24, 3)};
  finish({{1, 0, 40}}, slots, spec);
  const auto stored = [&](const std::byte* block, int64_t at) -> double {
    if (input() == DType::kFloat32) return reinterpret_cast<const float*>(block)[at];
    return bf16_to_float(reinterpret_cast<const bf16_t*>(block)[at]);
  };
  for (int64_t t = 0; t < 40; ++t) {
    for (int64_t head = 0; head < 2; ++head) {
      const std::byte* block = pages_.block(table_[pages_per_slot + t / 32], 1, head);
      const auto key = finished(slots[1], t, (3 + head) * 24, spec, k_weight_);
      for (int64_t d = 0; d < 24; ++d) {
        const double step = elementwise_tolerance(8, DType::kFloat32) +
                            elementwise_tolerance(std::abs(key[d]), input());
        ASSERT_NEAR(stored(block, d * 32 + t % 32), key[d], 2 * step);
        ASSERT_EQ(stored(block + pages_.head_stride / 2, t % 32 * 24 + d),
                  kept(slots[1].at(t, (5 + head) * 24 + d)));
      }
    }
  }
  const std::byte* other_layer = pages_.block(table_[pages_per_slot], 0, 0);
  EXPECT_EQ(*other_layer, std::byte{0xff});
}

TEST_P(QkvFinish, ARowHasTheSameBitsInAnyBatch) {
  const HeadShape shape = {4, 2, 32};
  make_cache(shape);
  const QkvSpec spec = spec_of(shape, 32, true);
  const std::vector<Matrix> slots = {random_matrix(DType::kFloat32, 90, 8 * 32, 4)};
  const Matrix all = finish({{0, 0, 90}}, slots, spec);
  for (const int32_t position : {0, 31, 32, 89}) {
    ASSERT_TRUE(finish({{0, position, 1}}, slots, spec).same_row(0, all, position));
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
    std::vector<std::byte> copy(image.size());
    backend->download(*queue, copy, pages_.block(page, 0, 0));
    EXPECT_EQ(copy, image);
  }
  std::vector<std::byte> neighbour(1);
  backend->download(*queue, neighbour, pages_.block(8, 0, 0));
  EXPECT_EQ(neighbour[0], std::byte{0xff});
}

INSTANTIATE_TEST_SUITE_P(Backends, QkvFinish, all_backends(), case_name);

}  // namespace
}  // namespace trireme
