// linear() through cuBLASLt over the emulation's library, which multiplies plainly: the choice by
// timing, pieces of rows and their epilogue, and the calls that our own kernels do instead.
#include "kernels/cuda/cublaslt.h"

#include <gmock/gmock.h>

#include "base/cuda_memory.h"
#include "base/text.h"
#include "kernels/cuda/backend.h"
#include "kernels/cuda/linear/linear_kernels.h"
#include "tests/emulation/emulated.h"
#include "tests/kernels/op_fixture.h"

namespace trireme {
namespace {

using cuda::MatmulOut;
using cuda::MatmulTable;
using testing::HasSubstr;

constexpr int64_t kK = 64;
constexpr int64_t kColumns = 24;  // of the gated output: 128 packed rows with their padding
constexpr int32_t kManyRows = 3 * kCudaPieceRows - 1000;

class CublasLtOps : public OpTest {
 protected:
  CublasLtOps() {
    set_library({.version = 130100});
    use_threads(1);
  }

  // Of calls from now on. A backend looks for the library once.
  static void set_library(const emulation::CublasLtSettings& library) {
    emulation::Settings settings = emulation::settings();
    settings.cublaslt = library;
    emulation::set_settings(settings);
  }

  // Makes the table say that the library is faster for up to 8192 rows of every kind of output.
  void prefer_library(int64_t n) {
    const std::string bytes = backend->save_tuning();
    const auto lines = split(bytes, '\n');
    MatmulTable table(lines[1]);
    for (const MatmulOut out : {MatmulOut::kActivation, MatmulOut::kFloat32, MatmulOut::kStaged}) {
      for (const int64_t columns : {n, padded(n)}) {
        table.note({8192, static_cast<int32_t>(columns), kK, out},
                   {emulation::cublaslt_algorithm(1), 1.5f, 2.5f});
      }
    }
    ASSERT_TRUE(backend->load_tuning(table.save()));
  }
  static int64_t padded(int64_t n) { return (n + kCudaRowPad - 1) / kCudaRowPad * kCudaRowPad; }

  std::unique_ptr<Weight> pack(const Matrix& weights) {
    const Tensor part = weights.view();
    WeightSpec spec;
    spec.spare_rows = Backend::kSpareRows;
    return backend->pack(std::span(&part, 1), spec).value();
  }

  Matrix run(const Matrix& x,
             const Weight& weight,
             const Epilogue& epilogue,
             int64_t columns,
             DType out_type) {
    reset();
    Matrix out(out_type, x.rows(), columns);
    const Epilogue placed = put(epilogue);
    const Tensor to = put(out);
    emulation::start_call_trace();
    backend->linear(*queue, workspace, put(x), weight, placed, to);
    calls_ = emulation::stop_call_trace();
    get(to, out);
    return out;
  }
  // Calls of the last run().
  int64_t num_products() const {
    return std::ranges::count(calls_, "cublasLtMatmul", &emulation::Call::name);
  }
  int64_t num_launches(const std::string& kernel) const {
    return std::ranges::count_if(
        calls_, [&](const auto& call) { return call.detail.find(kernel) != std::string::npos; });
  }
  std::string describe(const Matrix& x,
                       const Weight& weight,
                       const Epilogue& epilogue,
                       const Matrix& out) {
    return backend->describe_linear(*queue, workspace, {put(x), &weight, epilogue, put(out)});
  }
  std::vector<std::string> refused_causes() const {
    std::vector<std::string> causes;
    for (const RefusedMatmuls& refused : backend->refused_matmuls()) {
      causes.push_back(format_text("{}: {}", refused.cause, refused.calls));
    }
    return causes;
  }

  std::vector<emulation::Call> calls_;

 private:
  emulation::ScopedSettings restore_;
};

struct Sum {
  double value = 0;
  double magnitude = 0;
};

Sum product(const Matrix& x, int64_t row, const Matrix& w, int64_t column) {
  Sum sum;
  for (int64_t k = 0; k < x.columns(); ++k) {
    const double term = x.at(row, k) * w.at(column, k);
    sum.value += term;
    sum.magnitude += std::abs(term);
  }
  return sum;
}

// A product in fp32 before a bias: one rounding to the activation type.
TEST_P(CublasLtOps, AddTheBiasToEveryPiece) {
  const Matrix w = random_matrix(input(), 40, kK, 1);
  const auto weight = pack(w);
  std::vector<float> bias(40);
  for (int64_t j = 0; j < 40; ++j) bias[j] = static_cast<float>(j % 7) - 3;
  Epilogue epilogue;
  epilogue.bias = {bias.data(), 40};
  prefer_library(40);
  const Matrix x = random_matrix(input(), kManyRows, kK, 2);
  const Matrix out = run(x, *weight, epilogue, 40, input());
  EXPECT_EQ(num_products(), 3);
  EXPECT_EQ(num_launches("linear_finish"), 3);
  for (int64_t t = 0; t < x.rows(); ++t) {
    for (int64_t j = 0; j < 40; ++j) {
      const Sum sum = product(x, t, w, j);
      const double magnitude = sum.magnitude + std::abs(bias[j]);
      const double allowed = sum_tolerance(kK, magnitude, DType::kFloat32) +
                             elementwise_tolerance(std::abs(sum.value + bias[j]), input());
      ASSERT_NEAR(out.at(t, j), sum.value + bias[j], allowed) << "row " << t << " column " << j;
    }
  }
}

TEST_P(CublasLtOps, GateEveryPiece) {
  const Matrix gate = random_matrix(input(), kColumns, kK, 3, 0.5f);
  const Matrix up = random_matrix(input(), kColumns, kK, 4, 0.5f);
  const Tensor parts[] = {gate.view(), up.view()};
  const auto weight = backend->pack(parts, {WeightLayout::kGateUp, {}}).value();
  Epilogue epilogue;
  epilogue.activation = Activation::kSiluGate;
  prefer_library(2 * kColumns);
  const Matrix x = random_matrix(input(), kManyRows, kK, 5);
  const Matrix out = run(x, *weight, epilogue, kColumns, input());
  EXPECT_EQ(num_products(), 3);
  EXPECT_EQ(num_launches("linear_finish_staged"), 3);
  for (int64_t t = 0; t < x.rows(); ++t) {
    for (int64_t j = 0; j < kColumns; ++j) {
      const Sum g = product(x, t, gate, j);
      const Sum u = product(x, t, up, j);
      const double silu = g.value / (1 + std::exp(-g.value));
      const double g_error = staged_tolerance(kK, g.value, g.magnitude, input());
      const double u_error = staged_tolerance(kK, u.value, u.magnitude, input());
      const double allowed = elementwise_tolerance(std::abs(silu * u.value), input()) +
                             1.1 * g_error * (std::abs(u.value) + u_error) +
                             std::abs(silu) * u_error;
      ASSERT_NEAR(out.at(t, j), silu * u.value, allowed) << "row " << t << " column " << j;
    }
  }
}

// The plain library gives a row the same bits in any call, so pieces must not show.
TEST_P(CublasLtOps, RowsHaveTheBitsOfAnyOtherDivision) {
  const auto weight = pack(random_matrix(input(), 40, kK, 6));
  const std::vector<float> bias(40, 0.5f);
  Epilogue epilogue;
  epilogue.bias = {bias.data(), 40};
  prefer_library(40);
  const Matrix x = random_matrix(input(), kManyRows, kK, 7);
  const Matrix all = run(x, *weight, epilogue, 40, input());
  const auto piece = static_cast<int32_t>(cuda_piece_rows(kManyRows, padded(40)));
  for (const auto& [first, count] : {std::pair{0, 3},
                                     {piece - 1, 3},
                                     {piece, 2048},
                                     {2 * piece - 5, 11},
                                     {1, 2049},
                                     {kManyRows - 4, 4}}) {
    const Matrix part = run(x.part(first, count), *weight, epilogue, 40, input());
    EXPECT_EQ(num_products(), count > 2048 ? 2 : 1);
    for (int64_t t = 0; t < count; ++t) {
      ASSERT_TRUE(part.same_row(t, all, first + t)) << first << " + " << t;
    }
  }
}

TEST_P(CublasLtOps, WriteTheOutputItselfWithoutAnEpilogue) {
  const Matrix w = random_matrix(input(), 40, kK, 8);
  const auto weight = pack(w);
  prefer_library(40);
  const Matrix x = random_matrix(input(), kCudaPieceRows + 2, kK, 9);
  for (const DType type : {input(), DType::kFloat32}) {
    const Matrix out = run(x, *weight, {}, 40, type);
    EXPECT_EQ(num_products(), 1);
    EXPECT_EQ(num_launches("linear_finish"), 0);
    for (int64_t t = 0; t < x.rows(); t += 50) {
      for (int64_t j = 0; j < 40; ++j) {
        const Sum sum = product(x, t, w, j);
        ASSERT_NEAR(out.at(t, j), sum.value, sum_tolerance(kK, sum.magnitude, type));
      }
    }
  }
}

// An fp32 output of gate and up keeps its accuracy, and one or two rows keep their number of
// launches.
TEST_P(CublasLtOps, AreNotStagedForFloat32OrForOneRow) {
  const Matrix half = random_matrix(input(), kColumns, kK, 13);
  const Tensor parts[] = {half.view(), half.view()};
  const auto gate_up = backend->pack(parts, {WeightLayout::kGateUp, {}}).value();
  prefer_library(2 * kColumns);
  const Matrix rows = random_matrix(input(), 40, kK, 11);
  Epilogue gated;
  gated.activation = Activation::kSiluGate;
  run(rows, *gate_up, gated, kColumns, DType::kFloat32);
  EXPECT_EQ(num_products(), 0);
  run(rows, *gate_up, gated, kColumns, input());
  EXPECT_EQ(num_products(), 1);
  const auto weight = pack(random_matrix(input(), 40, kK, 10));
  const std::vector<float> bias(40, 0.5f);
  Epilogue epilogue;
  epilogue.bias = {bias.data(), 40};
  prefer_library(40);
  run(rows, *weight, epilogue, 40, DType::kFloat32);
  EXPECT_EQ(num_products(), 1);
  run(random_matrix(input(), cuda::kMaxNormRows, kK, 12), *weight, epilogue, 40, input());
  EXPECT_EQ(num_products(), 0);
  run(random_matrix(input(), cuda::kMaxNormRows + 1, kK, 12), *weight, epilogue, 40, input());
  EXPECT_EQ(num_products(), 1);
  EXPECT_THAT(refused_causes(), testing::IsEmpty());
}

// A matmul of 40 columns with a bias.
class CublasLtCall : public CublasLtOps {
 protected:
  explicit CublasLtCall(int64_t k = kK)
      : k_(k), w_(random_matrix(input(), 40, k, 20)), weight_(pack(w_)) {
    epilogue_.bias = {bias_.data(), 40};
  }

  void tune(int64_t rows) {
    reset();
    const Weight* const weights[] = {weight_.get(), weight_.get()};
    const Epilogue placed = put(epilogue_);
    const Tensor x = put(random_matrix(input(), rows, k_, 21));
    const Tensor out = put(Matrix(input(), rows, 40));
    emulation::start_call_trace();
    backend->tune_linear(*queue, workspace, x, weights, placed, out);
    calls_ = emulation::stop_call_trace();
  }
  // Describes an op of that many rows, and checks its output and whether it does what is described.
  std::string done_by(int64_t rows) {
    const Matrix x = random_matrix(input(), rows, k_, 22);
    const std::string described = describe(x, *weight_, epilogue_, Matrix(input(), rows, 40));
    expect_sum(x, run(x, *weight_, epilogue_, 40, input()));
    EXPECT_EQ(num_products() > 0, described.starts_with("cuBLASLt")) << described;
    return described;
  }
  void expect_sum(const Matrix& x, const Matrix& out) {
    for (int64_t t = 0; t < x.rows(); ++t) {
      for (int64_t j = 0; j < 40; ++j) {
        const Sum sum = product(x, t, w_, j);
        const double expected = sum.value + bias_[j];
        const double allowed = sum_tolerance(k_, sum.magnitude + 0.25, DType::kFloat32) +
                               elementwise_tolerance(std::abs(expected), input());
        ASSERT_NEAR(out.at(t, j), expected, allowed) << "row " << t << " column " << j;
      }
    }
  }

  const int64_t k_;
  const Matrix w_;
  const std::unique_ptr<Weight> weight_;
  const std::vector<float> bias_ = std::vector<float>(40, 0.25f);
  Epilogue epilogue_;
};

// Sums so long that the emulated kernels take several times as long as plain loops.
class CublasLtChoice : public CublasLtCall {
 protected:
  CublasLtChoice() : CublasLtCall(1024) {}
};

TEST_P(CublasLtChoice, TakesTheFastestAlgorithmWhereItBeatsOurKernels) {
  EXPECT_THAT(done_by(40), HasSubstr("; cuBLASLt is not loaded"));
  tune(40);
  const std::string fast = done_by(40);
  EXPECT_THAT(fast, HasSubstr("cuBLASLt algorithm 1 (tile 1, stages 1, split-k 1), staged; "));
  EXPECT_THAT(fast, HasSubstr(" us, own kernels "));
  EXPECT_THAT(
      done_by(49),
      testing::AllOf(HasSubstr("tile kernel, 64 x 128"), HasSubstr("; cuBLASLt was not timed")));
  set_library({.version = 130100, .num_algorithms = 1, .work = 60});
  tune(17);
  EXPECT_THAT(done_by(17), HasSubstr("; cuBLASLt is slower"));
  EXPECT_THAT(done_by(2), HasSubstr("; cuBLASLt would add a launch"));
  EXPECT_THAT(refused_causes(), testing::IsEmpty());
}

// Plain launches of short kernels measure the host, not the device.
TEST_P(CublasLtChoice, TimesGraphs) {
  tune(40);
  int64_t num_captured = 0;
  int64_t num_plain = 0;
  for (const emulation::Call& call : calls_) {
    if (call.name != "cublasLtMatmul") continue;
    ++(call.is_captured ? num_captured : num_plain);
  }
  EXPECT_EQ(num_plain, 2);  // the first of each algorithm, which may load modules
  EXPECT_EQ(num_captured, 20);
  const auto replays = std::ranges::count(calls_, "cudaGraphLaunch", &emulation::Call::name);
  EXPECT_GE(replays, 3);  // our kernels' graph and two of the library
  const auto allocated = emulation::allocated_bytes(0);
  tune(80);
  EXPECT_EQ(emulation::allocated_bytes(0), allocated);
}

TEST_P(CublasLtCall, ManyRowsAreNamedWithTheirPieces) {
  prefer_library(40);
  EXPECT_THAT(done_by(kManyRows), HasSubstr("staged in 3 pieces of 1792 rows; 1.5 us, own"));
}

TEST_P(CublasLtCall, RefusedCallsAreDoneByOurKernelsAndCountedByCause) {
  prefer_library(40);
  const Workspace whole = workspace;
  workspace.data += 16;
  workspace.bytes -= 16;
  EXPECT_THAT(done_by(40), HasSubstr("the output does not lie on 256 bytes"));
  workspace = {whole.data, kCudaLibraryBytes};
  EXPECT_THAT(done_by(40), HasSubstr("the workspace is too small to stage a piece"));
  workspace = whole;
  set_library({.version = 130100, .max_rows = 39});
  EXPECT_THAT(done_by(40), HasSubstr("does not support its algorithm"));
  set_library({.version = 130100});
  EXPECT_THAT(done_by(40), HasSubstr("cuBLASLt algorithm 1"));
  EXPECT_THAT(refused_causes(),
              testing::ElementsAre("the output does not lie on 256 bytes: 1",
                                   "the workspace is too small to stage a piece: 1",
                                   "cuBLASLt does not support its algorithm for these rows: 1"));
}

// Rows of a weight: a tied head of one rank begins at any row.
TEST_P(CublasLtCall, AnUnalignedWeightIsCountedWhenTimedAndWhenUsed) {
  const Matrix whole = random_matrix(input(), 41, kK, 23);
  const auto weight = pack(whole);
  const auto part = backend->rows_of(*weight, 1, 40);
  prefer_library(40);
  const Matrix x = random_matrix(input(), 40, kK, 24);
  const std::string cause = "the weight does not lie on 256 bytes";
  EXPECT_THAT(describe(x, *part, {}, Matrix(input(), 40, 40)), HasSubstr(cause));
  const Matrix out = run(x, *part, {}, 40, input());
  EXPECT_EQ(num_products(), 0);
  const Sum sum = product(x, 39, whole, 40);
  EXPECT_NEAR(out.at(39, 39), sum.value, sum_tolerance(kK, sum.magnitude, input()));
  EXPECT_THAT(refused_causes(), testing::ElementsAre(cause + ": 1"));

  use_threads(1);  // another backend, without a table
  reset();
  const Weight* const weights[] = {part.get()};
  const Tensor placed = put(x);
  backend->tune_linear(*queue, workspace, placed, weights, {}, put(Matrix(input(), 40, 40)));
  EXPECT_THAT(refused_causes(), testing::ElementsAre(cause + ": 1"));
}

// An error after some pieces: our kernels compute all rows.
TEST_P(CublasLtCall, AnErrorOfTheLibraryLeavesNoRowUndone) {
  prefer_library(40);
  const Matrix x = random_matrix(input(), kManyRows, kK, 25);
  emulation::fail_call("cublasLtMatmul", cudaErrorUnknown, 1);
  expect_sum(x, run(x, *weight_, epilogue_, 40, input()));
  EXPECT_EQ(num_products(), 2);
  EXPECT_THAT(refused_causes(), testing::ElementsAre("cuBLASLt returned an error: 1"));
}

// An algorithm that fails is not chosen, and what it leaves of a capture does not matter.
TEST_P(CublasLtChoice, AnAlgorithmThatCannotBeCapturedIsNotChosen) {
  emulation::fail_call("cublasLtMatmul", cudaErrorUnknown, 15);  // in the graph of the second
  tune(40);
  EXPECT_THAT(done_by(40), HasSubstr("cuBLASLt algorithm 0"));
}

INSTANTIATE_TEST_SUITE_P(Emulated,
                         CublasLtChoice,
                         testing::Values(BackendCase{"cuda", DType::kBFloat16}),
                         case_name);
INSTANTIATE_TEST_SUITE_P(Emulated,
                         CublasLtCall,
                         testing::Values(BackendCase{"cuda", DType::kBFloat16}),
                         case_name);

class InvariantCublasLt : public CublasLtCall {};

TEST_P(InvariantCublasLt, IsOff) {
  tune(40);
  EXPECT_EQ(backend->tuning_name(), "");
  EXPECT_THAT(done_by(40), HasSubstr("; cuBLASLt is off (--invariant)"));
  const OpLimits limits = {8192, 4096, 128256, 28672};
  EXPECT_EQ(backend->workspace_bytes(limits), kCudaScratchBytes);
}

INSTANTIATE_TEST_SUITE_P(Emulated,
                         InvariantCublasLt,
                         testing::Values(BackendCase{"cuda_invariant", DType::kBFloat16}),
                         case_name);

INSTANTIATE_TEST_SUITE_P(Emulated,
                         CublasLtOps,
                         testing::Values(BackendCase{"cuda", DType::kBFloat16},
                                         BackendCase{"cuda", DType::kFloat16}),
                         case_name);

}  // namespace
}  // namespace trireme
