#include "tests/kernels/op_fixture.h"
#ifdef TRIREME_EMULATED_CUDA
#include "tests/emulation/emulated.h"
#endif

namespace trireme {
namespace {

struct Shape {
  int64_t rows, n, k;
};

class Linear : public OpTest {
 protected:
  Matrix run(const Matrix& x,
             const Weight& weight,
             const Epilogue& epilogue,
             DType out_type,
             int64_t columns) {
    reset();
    Matrix out(out_type, x.rows(), columns);
    const Epilogue placed_epilogue = put(epilogue);
    const Tensor placed = put(out);
    backend->linear(*queue, workspace, put(x), weight, placed_epilogue, placed);
    get(placed, out);
    return out;
  }
  std::unique_ptr<Weight> pack(const Matrix& weights, std::vector<int64_t> leaf_ends = {}) {
    const Tensor part = weights.view();
    return backend->pack(std::span(&part, 1), {WeightLayout::kRows, std::move(leaf_ends)}).value();
  }
  // `truncation`: the bias of truncated sums, as a share of the sum of absolute values.
  void expect_product(const Matrix& x,
                      const Matrix& w,
                      const float* bias,
                      const Matrix& out,
                      double truncation = 0) {
    for (int64_t t = 0; t < x.view().rows; ++t) {
      for (int64_t j = 0; j < w.view().rows; ++j) {
        double sum = bias == nullptr ? 0 : bias[j];
        double magnitude = std::abs(sum);
        for (int64_t k = 0; k < x.view().columns; ++k) {
          sum += x.at(t, k) * w.at(j, k);
          magnitude += std::abs(x.at(t, k) * w.at(j, k));
        }
        const double allowed =
            sum_tolerance(x.view().columns, magnitude, out.view().dtype) + truncation * magnitude;
        ASSERT_NEAR(out.at(t, j), sum, allowed) << "row " << t << " column " << j;
      }
    }
  }
};

// Values in [0.5, 1.5).
Matrix uniform_matrix(DType dtype, int64_t rows, int64_t columns, uint32_t seed) {
  Matrix matrix(dtype, rows, columns);
  std::mt19937 random(seed);
  std::uniform_real_distribution<float> uniform(0.5f, 1.5f);
  for (int64_t row = 0; row < rows; ++row) {
    for (int64_t column = 0; column < columns; ++column) matrix.set(row, column, uniform(random));
  }
  return matrix;
}

// The last rows of a weight, and rows that do not begin at a tile: rows behind them belong to
// others.
TEST_P(Linear, RowsOfAWeightAreAWeight) {
  const Matrix w = random_matrix(input(), 300, 129, 1);
  const Tensor whole_part = w.view();
  WeightSpec spec;
  spec.spare_rows = Backend::kSpareRows;
  const auto whole = backend->pack(std::span(&whole_part, 1), spec).value();
  for (const auto& [first, count] : {std::pair{0, 100}, {100, 100}, {171, 129}, {299, 1}}) {
    const auto part = backend->rows_of(*whole, first, count);
    ASSERT_EQ(part != nullptr, GetParam().is_cuda());
    if (part == nullptr) continue;
    EXPECT_EQ(part->n(), count);
    Matrix rows(input(), count, 129);
    for (int64_t j = 0; j < count; ++j) {
      for (int64_t k = 0; k < 129; ++k) rows.set(j, k, w.at(first + j, k));
    }
    for (const int64_t num_tokens : {1, 17}) {
      const Matrix x = random_matrix(input(), num_tokens, 129, 2);
      expect_product(x, rows, nullptr, run(x, *part, {}, DType::kFloat32, count));
    }
  }
}

// Remainders of every kind: rows, columns and sums that fill no tile, one step of an mma in k,
// several.
TEST_P(Linear, EqualsTheProductInDouble) {
  for (const Shape& shape : {Shape{1, 1, 1},
                             Shape{1, 17, 129},
                             Shape{7, 129, 255},
                             Shape{16, 700, 129},
                             Shape{17, 129, 64},
                             Shape{40, 33, 255},
                             Shape{3, 700, 256},
                             Shape{5, 17, 2100},
                             Shape{11, 700, 1100},
                             Shape{129, 17, 1000},
                             Shape{300, 129, 64}}) {
    const Matrix x = random_matrix(input(), shape.rows, shape.k, 1);
    const Matrix w = random_matrix(input(), shape.n, shape.k, 2);
    std::vector<float> bias(shape.n);
    for (int64_t j = 0; j < shape.n; ++j) bias[j] = static_cast<float>(j % 7) - 3;
    const auto weight = pack(w);
    EXPECT_EQ(weight->bytes(), backend->packed_bytes(shape.n, shape.k, {}));
    expect_product(x, w, nullptr, run(x, *weight, {}, DType::kFloat32, shape.n));
    Epilogue with_bias;
    with_bias.bias = {bias.data(), shape.n};
    expect_product(x, w, bias.data(), run(x, *weight, with_bias, input(), shape.n));
  }
}

// Products of one sign in fp32: here tensor cores, which cut their sums, err more than rounding to
// nearest does. One shape for each of the kernels; K is split where they split it.
TEST_P(Linear, AddsProductsOfOneSignWithinTheirBias) {
  for (const Shape& shape : {Shape{2, 17, 4096}, Shape{20, 17, 2500}, Shape{130, 40, 2500}}) {
    const Matrix x = uniform_matrix(input(), shape.rows, shape.k, 1);
    const Matrix w = uniform_matrix(input(), shape.n, shape.k, 2);
    const Matrix out = run(x, *pack(w), {}, DType::kFloat32, shape.n);
    const double bias = GetParam().is_cuda() ? truncation_bias(shape.k, 1) : 0;
    expect_product(x, w, nullptr, out, bias);
  }
}

#ifdef TRIREME_EMULATED_CUDA
// The bias of a chain over 4,096 columns exceeds what rounding to nearest allows, so that the mode
// shows it; and it is toward zero. The tiles of this shape fill one multiprocessor: K is not split.
using TensorCores = Linear;

TEST_P(TensorCores, TruncatedSumsAreBiasedAsTheToleranceSays) {
  const emulation::ScopedSettings restore;
  const Shape shape = {20, 200, 4096};
  const Matrix x = uniform_matrix(input(), shape.rows, shape.k, 1);
  const Matrix w = uniform_matrix(input(), shape.n, shape.k, 2);
  for (const bool truncates : {false, true}) {
    emulation::Settings settings = emulation::settings();
    settings.num_multiprocessors = 1;
    settings.truncates_sums = truncates;
    emulation::set_settings(settings);
    use_threads(2);  // another backend
    const Matrix out = run(x, *pack(w), {}, DType::kFloat32, shape.n);
    expect_product(x, w, nullptr, out, truncates ? truncation_bias(shape.k, 1) : 0);
    double error = 0;  // mean, in tolerances
    for (int64_t t = 0; t < shape.rows; ++t) {
      for (int64_t j = 0; j < shape.n; ++j) {
        double sum = 0;
        for (int64_t k = 0; k < shape.k; ++k) sum += x.at(t, k) * w.at(j, k);
        error += (sum - out.at(t, j)) / sum_tolerance(shape.k, sum, DType::kFloat32);
      }
    }
    error /= static_cast<double>(shape.rows * shape.n);
    EXPECT_EQ(error > 1, truncates) << error;
  }
}

// With batch invariance K is always split.
std::vector<BackendCase> tensor_core_cases() {
  std::vector<BackendCase> cases = backend_cases();
  std::erase_if(cases, [](const BackendCase& some) { return some.isa != "cuda"; });
  return cases;
}

INSTANTIATE_TEST_SUITE_P(Backends, TensorCores, testing::ValuesIn(tensor_core_cases()), case_name);
#endif

TEST_P(Linear, NoRowsIsNoWork) {
  const Matrix x(input(), 0, 64);
  const auto weight = pack(random_matrix(input(), 32, 64, 2));
  run(x, *weight, {}, DType::kFloat32, 32);
}

TEST_P(Linear, ARowHasTheSameBitsInAnyBatchAndForAnyThreads) {
  if (!GetParam().is_invariant()) GTEST_SKIP() << "not promised";
  const Matrix x = random_matrix(input(), 40, 250, 3);
  const Matrix w = random_matrix(input(), 700, 250, 4);
  const std::vector<int64_t> leaves = {30, 63, 63, 100, 150, 151, 200, 250};
  const Matrix all = run(x, *pack(w, leaves), {}, DType::kFloat32, 700);
  for (const int threads : {1, 3}) {
    use_threads(threads);
    const auto weight = pack(w, leaves);
    for (const int64_t rows : {1, 2, 5, 12, 13, 25, 39}) {
      const Matrix out = run(x.part(40 - rows, rows), *weight, {}, DType::kFloat32, 700);
      for (int64_t t = 0; t < rows; ++t) {
        ASSERT_TRUE(out.same_row(t, all, 40 - rows + t)) << rows << " rows, row " << t;
      }
    }
  }
}

// Sums long enough to be split, and batches on both sides of every choice that depends on rows.
TEST_P(Linear, ARowHasTheSameBitsWhereKIsSplit) {
  if (!GetParam().is_invariant()) GTEST_SKIP() << "not promised";
  const Matrix x = random_matrix(input(), 130, 1000, 13);
  for (const int64_t n : {17, 260}) {
    const auto weight = pack(random_matrix(input(), n, 1000, 14));
    const Matrix all = run(x, *weight, {}, input(), n);
    for (const int64_t rows : {1, 8, 9, 33, 65}) {
      const Matrix out = run(x.part(130 - rows, rows), *weight, {}, input(), n);
      for (int64_t t = 0; t < rows; ++t) {
        ASSERT_TRUE(out.same_row(t, all, 130 - rows + t)) << rows << " rows, row " << t;
      }
    }
  }
}

// A column of W gives the same bits at any position: column sharding over ranks relies on it.
TEST_P(Linear, AColumnHasTheSameBitsInAnyShard) {
  if (GetParam().is_cuda()) GTEST_SKIP() << "cuts of W keep their bits on the CPU only (D2)";
  const Matrix x = random_matrix(input(), 5, 96, 5);
  const Matrix w = random_matrix(input(), 100, 96, 6);
  const Matrix all = run(x, *pack(w), {}, DType::kFloat32, 100);
  Tensor tail = w.view();
  tail.data += 37 * 96 * size_of(input());
  tail.rows = 63;
  const auto weight = backend->pack(std::span(&tail, 1), {}).value();
  const Matrix part = run(x, *weight, {}, DType::kFloat32, 63);
  for (int64_t t = 0; t < 5; ++t) {
    for (int64_t j = 0; j < 63; ++j) ASSERT_EQ(part.at(t, j), all.at(t, 37 + j));
  }
}

struct LeafCase {
  std::vector<int64_t> ends;
};

// Eight leaves in one matmul equal the tree over tp matmuls of 8 / tp leaves each (D2).
TEST_P(Linear, LeavesOverRanksAddUpToThoseOfOneRank) {
  if (GetParam().is_cuda()) GTEST_SKIP() << "leaves are a rule of the CPU (D2)";
  const LeafCase cases[] = {{{32, 64, 96, 128, 160, 192, 224, 256}},
                            {{88, 176, 264, 352, 440, 528, 616, 704}},
                            {{0, 80, 160, 240, 240, 320, 400, 480}},  // 6 heads of 80
                            {{21, 43, 64, 86, 107, 129, 150, 172}}};  // odd lengths
  for (const LeafCase& leaf_case : cases) {
    const int64_t k = leaf_case.ends.back();
    const Matrix x = random_matrix(input(), 3, k, 7);
    const Matrix w = random_matrix(input(), 45, k, 8);
    const Matrix whole = run(x, *pack(w, leaf_case.ends), {}, DType::kFloat32, 45);
    for (const int tp : {2, 4, 8}) {
      std::vector<Matrix> parts;
      for (int rank = 0; rank < tp; ++rank) {
        const int64_t begin = rank == 0 ? 0 : leaf_case.ends[8 / tp * rank - 1];
        std::vector<int64_t> ends;
        for (int leaf = 8 / tp * rank; leaf < 8 / tp * (rank + 1); ++leaf) {
          ends.push_back(leaf_case.ends[leaf] - begin);
        }
        Matrix local_x(input(), 3, ends.back());
        Matrix local_w(input(), 45, ends.back());
        for (int64_t c = 0; c < ends.back(); ++c) {
          for (int64_t t = 0; t < 3; ++t) local_x.set(t, c, static_cast<float>(x.at(t, begin + c)));
          for (int64_t j = 0; j < 45; ++j)
            local_w.set(j, c, static_cast<float>(w.at(j, begin + c)));
        }
        parts.push_back(run(local_x, *pack(local_w, ends), {}, DType::kFloat32, 45));
      }
      for (int distance = 1; distance < tp; distance *= 2) {
        for (int rank = 0; rank < tp; rank += 2 * distance) {
          reset();
          const Tensor sum = put(parts[rank]);
          backend->add(*queue, sum, put(parts[rank + distance]));
          get(sum, parts[rank]);
        }
      }
      for (int64_t t = 0; t < 3; ++t) {
        ASSERT_TRUE(parts[0].same_row(t, whole, t)) << "tp " << tp << " k " << k;
      }
    }
  }
}

TEST_P(Linear, SiluGateEqualsItsDefinition) {
  for (const auto& [rows, columns] :
       {std::pair<int64_t, int64_t>{7, 1}, {7, 16}, {1, 17}, {16, 172}, {33, 65}, {150, 40}}) {
    const Matrix x = random_matrix(input(), rows, 64, 9);
    const Matrix gate = random_matrix(input(), columns, 64, 10, 0.5f);
    const Matrix up = random_matrix(input(), columns, 64, 11, 0.5f);
    const Tensor parts[] = {gate.view(), up.view()};
    const auto weight = backend->pack(parts, {WeightLayout::kGateUp, {}}).value();
    std::vector<float> bias(2 * columns, 0.25f);
    for (int64_t j = columns; j < 2 * columns; ++j) bias[j] = -0.5f;
    Epilogue epilogue;
    epilogue.activation = Activation::kSiluGate;
    epilogue.bias = {bias.data(), 2 * columns};
    const Matrix out = run(x, *weight, epilogue, input(), columns);
    for (int64_t t = 0; t < rows; ++t) {
      for (int64_t j = 0; j < columns; ++j) {
        double g = 0.25, u = -0.5, magnitude_g = 0.25, magnitude_u = 0.5;
        for (int64_t k = 0; k < 64; ++k) {
          g += x.at(t, k) * gate.at(j, k);
          u += x.at(t, k) * up.at(j, k);
          magnitude_g += std::abs(x.at(t, k) * gate.at(j, k));
          magnitude_u += std::abs(x.at(t, k) * up.at(j, k));
        }
        const double expected = g / (1 + std::exp(-g)) * u;
        const double allowed = elementwise_tolerance(std::abs(expected), input()) +
                               1.1 * std::abs(u) * sum_tolerance(64, magnitude_g, DType::kFloat32) +
                               std::abs(g) * sum_tolerance(64, magnitude_u, DType::kFloat32);
        ASSERT_NEAR(out.at(t, j), expected, allowed);
      }
    }
  }
}

TEST_P(Linear, EmbedReadsThePackedRowsAndZerosTheRest) {
  const Matrix w = random_matrix(input(), 70, 33, 12);
  const auto weight = pack(w);
  const std::vector<int32_t> ids = {100, 169, 99, 170, 133};
  BatchView batch;
  batch.num_tokens = 5;
  batch.token_ids = put(ids);
  Matrix out(backend->types().residual, 5, 33);
  const Tensor placed = put(out);
  backend->embed(*queue, batch, *weight, 100, placed);
  get(placed, out);
  for (int64_t t = 0; t < 5; ++t) {
    const bool held = ids[t] >= 100 && ids[t] < 170;
    for (int64_t i = 0; i < 33; ++i) ASSERT_EQ(out.at(t, i), held ? w.at(ids[t] - 100, i) : 0);
  }
}

double rounded(double value, DType type) {
  Matrix one(type, 1, 1);
  one.set(0, 0, value);
  return one.at(0, 0);
}

// Packing rounds to nearest even; products with unit vectors return the packed values.
TEST_P(Linear, WeightsOfEveryStoredTypeArePacked) {
  for (const DType stored : {DType::kFloat32, DType::kBFloat16, DType::kFloat16}) {
    Matrix w(stored, 2, 4);
    const double values[] = {1, -5, 0x1p-14, 1000, 0.333251953125, -0.0, 1.00390625, 1.0048828125};
    for (int64_t i = 0; i < 8; ++i) w.set(i / 4, i % 4, values[i]);
    const auto weight = pack(w);
    for (int64_t k = 0; k < 4; ++k) {
      Matrix unit(input(), 1, 4);
      for (int64_t i = 0; i < 4; ++i) unit.set(0, i, i == k ? 1.0f : 0.0f);
      const Matrix out = run(unit, *weight, {}, DType::kFloat32, 2);
      for (int64_t j = 0; j < 2; ++j) EXPECT_EQ(out.at(0, j), rounded(w.at(j, k), input()));
    }
  }
}

// More bytes than one half of the staging area: no piece is lost or misplaced.
TEST_P(Linear, ALargeWeightIsPackedWhole) {
  const int64_t n = 3000;
  const int64_t k = 1030;
  Matrix w(input(), n, k);
  for (int64_t j = 0; j < n; ++j) {
    for (int64_t i = 0; i < k; ++i) w.set(j, i, (i + j) % 2);
  }
  const auto weight = pack(w);
  Matrix x(input(), 1, k);
  for (int64_t i = 0; i < k; ++i) x.set(0, i, i % 2 == 0 ? 1 : 2);
  const Matrix out = run(x, *weight, {}, DType::kFloat32, n);
  for (int64_t j = 0; j < n; ++j) ASSERT_EQ(out.at(0, j), j % 2 == 0 ? 1030 : 515) << j;
}

TEST_P(Linear, PartsAreStackedByRows) {
  const Matrix w = random_matrix(input(), 150, 40, 15);
  const Matrix x = random_matrix(input(), 3, 40, 16);
  const Matrix cut[] = {w.part(0, 70), w.part(70, 1), w.part(71, 79)};
  const Tensor parts[] = {cut[0].view(), cut[1].view(), cut[2].view()};
  const auto weight = backend->pack(parts, {}).value();
  const Matrix whole = run(x, *pack(w), {}, DType::kFloat32, 150);
  const Matrix joined = run(x, *weight, {}, DType::kFloat32, 150);
  for (int64_t t = 0; t < 3; ++t) EXPECT_TRUE(joined.same_row(t, whole, t));
}

// A mismatched shape is a bug of the caller: the process ends and prints the failed check.
TEST_P(Linear, AMismatchedShapeEndsTheProcess) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");  // a device does not survive a plain fork
  const auto weight = pack(random_matrix(input(), 32, 64, 2));
  const Matrix x(input(), 1, 65);
  EXPECT_DEATH(run(x, *weight, {}, DType::kFloat32, 32), "CHECK failed: .*columns");
}

INSTANTIATE_TEST_SUITE_P(Backends, Linear, all_backends(), case_name);

}  // namespace
}  // namespace trireme
