#include "kernels/cuda/norm_shape.h"
#include "tests/kernels/op_fixture.h"

namespace trireme {
namespace {

struct NormCase {
  NormKind kind;
  bool has_bias;
  bool has_delta;
  float weight_offset;
};

const NormCase kCases[] = {{NormKind::kRms, false, false, 0},
                           {NormKind::kRms, false, true, 1},
                           {NormKind::kLayer, true, true, 0},
                           {NormKind::kLayer, false, false, 0}};

class AddNorm : public OpTest {
 protected:
  struct Result {
    Matrix residual;
    Matrix out;
  };
  Result run(const NormCase& norm_case,
             const Matrix& residual,
             const Matrix& delta,
             const std::vector<float>& weight,
             const std::vector<float>& bias,
             DType out_type) {
    reset();
    Result result = {residual, Matrix(out_type, residual.rows(), residual.columns())};
    Norm norm;
    norm.kind = norm_case.kind;
    norm.weight_offset = norm_case.weight_offset;
    norm.weight = put_vector(weight);
    if (norm_case.has_bias) norm.bias = put_vector(bias);
    const Tensor placed = put(residual), placed_delta = put(delta), out = put(result.out);
    backend->add_norm(*queue,
                      placed,
                      norm_case.has_delta ? &placed_delta : nullptr,
                      norm_case.has_delta ? put_vector(bias) : Vector{},
                      norm,
                      out);
    get(placed, result.residual);
    get(out, result.out);
    return result;
  }
  Matrix random_rows(int64_t rows, int64_t width, uint32_t seed) {
    return random_matrix(backend->types().residual, rows, width, seed);
  }
};

std::vector<float> random_vector(int64_t size, uint32_t seed) {
  const Matrix values = random_matrix(DType::kFloat32, 1, size, seed);
  return std::vector<float>(values.view().row<float>(0), values.view().row<float>(0) + size);
}

// The norm is that of the residual as stored, after rounding.
TEST_P(AddNorm, EqualsItsDefinitionInDouble) {
  const DType type = backend->types().residual;
  for (const NormCase& norm_case : kCases) {
    for (const int64_t width : {1, 17, 64, 129, 700, 1700, 4097, 6000, 20001}) {
      const DType out_type = width % 2 == 0 ? DType::kFloat32 : input();
      const Matrix residual = random_rows(5, width, 1), delta = random_rows(5, width, 2);
      const auto weight = random_vector(width, 3), bias = random_vector(width, 4);
      const Result result = run(norm_case, residual, delta, weight, bias, out_type);
      for (int64_t t = 0; t < 5; ++t) {
        double mean = 0, squares = 0, greatest = 0;
        std::vector<double> x(width);
        for (int64_t i = 0; i < width; ++i) {
          double sum = residual.at(t, i);
          if (norm_case.has_delta) sum += delta.at(t, i) + bias[i];
          x[i] = result.residual.at(t, i);
          ASSERT_NEAR(x[i], sum, 4 * elementwise_tolerance(4, type));
          mean += x[i] / static_cast<double>(width);
          greatest = std::max(greatest, std::abs(x[i]));
        }
        if (norm_case.kind == NormKind::kRms) mean = 0;
        for (const double value : x) squares += (value - mean) * (value - mean);
        const double deviation = std::sqrt(squares / static_cast<double>(width) + 1e-5);
        for (int64_t i = 0; i < width; ++i) {
          const double scale = (weight[i] + norm_case.weight_offset) / deviation;
          const double shift = norm_case.has_bias ? bias[i] : 0;
          const double expected = (x[i] - mean) * scale + shift;
          const double magnitude = (std::abs(x[i]) + std::abs(mean)) * std::abs(scale);
          const double allowed =
              elementwise_tolerance(std::abs(expected) + std::abs(shift), out_type) +
              sum_tolerance(width, magnitude + greatest * std::abs(scale), DType::kFloat32);
          ASSERT_NEAR(result.out.at(t, i), expected, allowed) << "width " << width;
        }
      }
    }
  }
}

TEST_P(AddNorm, ARowHasTheSameBitsInAnyBatchAndForAnyThreads) {
  constexpr int64_t kRows = 70;
  for (const int64_t width : {100, 1700}) {
    use_threads(2);
    const Matrix residual = random_rows(kRows, width, 5), delta = random_rows(kRows, width, 6);
    const auto weight = random_vector(width, 7), bias = random_vector(width, 8);
    const Result all = run(kCases[2], residual, delta, weight, bias, input());
    for (const int threads : {1, 3}) {
      use_threads(threads);
      for (const int64_t first : {0, 13, 69}) {
        const int64_t count = std::min<int64_t>(14, kRows - first);
        const Result some = run(kCases[2],
                                residual.part(first, count),
                                delta.part(first, count),
                                weight,
                                bias,
                                input());
        for (int64_t t = 0; t < count; ++t) {
          ASSERT_TRUE(some.out.same_row(t, all.out, first + t));
          ASSERT_TRUE(some.residual.same_row(t, all.residual, first + t));
        }
      }
    }
  }
}

TEST_P(AddNorm, NoRowsIsNoWork) {
  const Matrix empty(backend->types().residual, 0, 64);
  run(kCases[1], empty, empty, random_vector(64, 1), random_vector(64, 2), input());
}

TEST_P(AddNorm, WithoutAnOutputItOnlyAdds) {
  Matrix residual = random_rows(3, 33, 9);
  const Matrix before = residual;
  const Matrix delta = random_rows(3, 33, 10);
  const Tensor placed = put(residual), placed_delta = put(delta);
  backend->add_norm(*queue, placed, &placed_delta, {}, {}, {});
  get(placed, residual);
  Matrix expected(residual.dtype(), 3, 33);
  for (int64_t t = 0; t < 3; ++t) {
    for (int64_t i = 0; i < 33; ++i) {
      expected.set(t, i, static_cast<float>(before.at(t, i)) + static_cast<float>(delta.at(t, i)));
      ASSERT_EQ(residual.at(t, i), expected.at(t, i));
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Backends, AddNorm, backends_of_one_mode(), case_name);

TEST(NormShape, TheThreadsOfARowFollowFromItsWidthAlone) {
  for (int64_t width = 1; width < 40'000; width += 13) {
    const cuda::NormShape one = cuda::norm_shape(width, 1);
    EXPECT_EQ(one.threads % 32, 0);
    EXPECT_LE(one.threads, cuda::kMaxNormThreads);
    if (one.chunks > 0) {
      EXPECT_GE(8 * one.chunks * one.threads, width);
    }
    for (const int64_t rows : {2, 64, 65, 5000}) {
      const cuda::NormShape many = cuda::norm_shape(width, rows);
      EXPECT_EQ(many.threads, one.threads);
      EXPECT_EQ(many.chunks, one.chunks);
      EXPECT_LE(many.threads * many.rows_per_block, cuda::kMaxNormThreads);
      EXPECT_TRUE(many.rows_per_block == 1 || many.threads == 32);
    }
  }
}

}  // namespace
}  // namespace trireme
