// Fixture of the op tests: a backend by name, tier, type and threads; random matrices with guard
// bytes; copies to the device and back, so that a test never touches device memory itself.
#pragma once

#include <gtest/gtest.h>

#include <cstring>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "base/check.h"
#include "base/cpu_tiers.h"
#include "kernels/cpu_backend.h"
#include "kernels/cuda_backend.h"
#include "tests/sanitized.h"
#include "tests/tolerance.h"

namespace trireme {

struct BackendCase {
  std::string isa;  // a tier of the CPU, "cuda" or "cuda_invariant"
  DType dtype;
  bool is_cuda() const { return isa.starts_with("cuda"); }
  // Whether results are batch-invariant (D1): a row's bits do not depend on other rows.
  bool is_invariant() const { return isa != "cuda"; }
  std::string name() const { return isa + "_" + std::string(name_of(dtype)); }
};

inline StatusOr<std::unique_ptr<Backend>> make_backend(const BackendCase& wanted, int threads) {
  if (wanted.is_cuda()) {
    return make_cuda_backend(
        {.dtype = wanted.dtype, .invariant = wanted.is_invariant(), .max_batched_tokens = 512});
  }
  return make_cpu_backend({threads, wanted.dtype, wanted.isa});
}

// Every tier of this processor, in both types, and CUDA if the test is linked with it. Under
// AddressSanitizer each tier runs in one type only.
inline std::vector<BackendCase> backend_cases() {
  std::vector<BackendCase> cases;
  for (const std::string_view tier : kCpuTiers) {
    const std::string isa(tier);
    if (!make_backend({isa, DType::kFloat32}, 1).ok()) continue;
    const bool is_odd = cases.size() % 2 == 1;
    if (!is_sanitized() || !is_odd) cases.push_back({isa, DType::kFloat32});
    if (!is_sanitized() || is_odd) cases.push_back({isa, DType::kBFloat16});
  }
  for (const char* isa : {"cuda", "cuda_invariant"}) {
    for (const DType dtype : {DType::kBFloat16, DType::kFloat16}) {
      if (is_sanitized() && (dtype == DType::kFloat16) == (isa == std::string("cuda"))) continue;
      if (make_backend({isa, dtype}, 1).ok()) cases.push_back({isa, dtype});
    }
  }
  return cases;
}

// A host matrix of `rows` x `columns` with guard bytes behind it, filled with NaN.
class Matrix {
 public:
  Matrix(DType dtype, int64_t rows, int64_t columns)
      : bytes_(rows * columns * size_of(dtype) + kGuard, std::byte{0xff}),
        view_(bytes_.data(), dtype, rows, columns) {}
  Matrix(Matrix&&) = default;
  Matrix& operator=(Matrix&&) = default;
  Matrix(const Matrix& other) : bytes_(other.bytes_), view_(other.view_) {
    view_.data = bytes_.data();
  }

  Tensor view() const { return view_; }
  int64_t rows() const { return view_.rows; }
  int64_t columns() const { return view_.columns; }
  DType dtype() const { return view_.dtype; }
  std::span<std::byte> guarded_bytes() { return bytes_; }
  std::span<const std::byte> guarded_bytes() const { return bytes_; }

  double at(int64_t row, int64_t column) const {
    if (view_.dtype == DType::kFloat32) return view_.row<float>(row)[column];
    if (view_.dtype == DType::kFloat16) return fp16_to_float(view_.row<fp16_t>(row)[column]);
    return bf16_to_float(view_.row<bf16_t>(row)[column]);
  }
  void set(int64_t row, int64_t column, double value) {
    if (view_.dtype == DType::kFloat32) {
      view_.row<float>(row)[column] = static_cast<float>(value);
    } else if (view_.dtype == DType::kFloat16) {
      view_.row<fp16_t>(row)[column] = float_to_fp16(static_cast<float>(value));
    } else {
      view_.row<bf16_t>(row)[column] = float_to_bf16(static_cast<float>(value));
    }
  }
  bool same_bytes(const Matrix& other) const { return bytes_ == other.bytes_; }
  bool same_row(int64_t row, const Matrix& other, int64_t other_row) const {
    const int64_t size = view_.columns * size_of(view_.dtype);
    return std::memcmp(bytes_.data() + row * size, other.bytes_.data() + other_row * size, size) ==
           0;
  }
  // The same rows with more columns, filled with NaN like the guard, or with fewer.
  Matrix widened(int64_t columns) const { return with_columns(columns, this->columns()); }
  Matrix narrowed(int64_t columns) const { return with_columns(columns, columns); }
  // Rows [first, first + count).
  Matrix part(int64_t first, int64_t count) const {
    Matrix copy(dtype(), count, columns());
    const int64_t row_bytes = columns() * size_of(dtype());
    std::memcpy(copy.bytes_.data(), bytes_.data() + first * row_bytes, count * row_bytes);
    return copy;
  }

 private:
  static constexpr size_t kGuard = 64;

  Matrix with_columns(int64_t columns, int64_t kept) const {
    Matrix copy(dtype(), rows(), columns);
    const int64_t unit = size_of(dtype());
    for (int64_t row = 0; row < rows(); ++row) {
      std::memcpy(copy.bytes_.data() + row * columns * unit,
                  bytes_.data() + row * this->columns() * unit,
                  kept * unit);
    }
    return copy;
  }

  std::vector<std::byte> bytes_;
  Tensor view_;
};

inline Matrix random_matrix(
    DType dtype, int64_t rows, int64_t columns, uint32_t seed, float scale = 1) {
  Matrix matrix(dtype, rows, columns);
  std::mt19937 random(seed);
  std::normal_distribution<float> normal(0, scale);
  for (int64_t row = 0; row < rows; ++row) {
    for (int64_t column = 0; column < columns; ++column) matrix.set(row, column, normal(random));
  }
  return matrix;
}

class OpTest : public testing::TestWithParam<BackendCase> {
 protected:
  OpTest() { use_threads(2); }

  void use_threads(int threads) {
    backend = make_backend(GetParam(), threads).value();
    queue = backend->make_queue();
    const int64_t scratch = backend->workspace_bytes({600, 4096, 8192, 8192});
    scratch_ = backend->allocate(scratch, "scratch").value();
    workspace = {scratch_.data(), scratch};
    arena_ = backend->allocate(kArenaBytes, "test data").value();
    used_ = 0;
  }
  DType input() const { return GetParam().dtype; }

  // Copies values to the device, where they stay until the next reset().
  template <class T>
  T* put(std::span<const T> values) {
    auto* place = reinterpret_cast<T*>(take(static_cast<int64_t>(values.size_bytes())));
    backend->upload(*queue, reinterpret_cast<std::byte*>(place), std::as_bytes(values));
    return place;
  }
  template <class T>
  T* put(const std::vector<T>& values) {
    return put(std::span<const T>(values));
  }
  Vector put_vector(const std::vector<float>& values) {
    return {put(values), static_cast<int64_t>(values.size())};
  }
  // With the bias on the device.
  Epilogue put(Epilogue epilogue) {
    const Vector& bias = epilogue.bias;
    if (bias.data != nullptr) epilogue.bias.data = put(std::span(bias.data, bias.size));
    return epilogue;
  }
  // Rows start at the backend's alignment, or `more` columns behind it; the gaps between them are
  // NaN.
  Tensor put(const Matrix& matrix, int64_t more = 0) {
    const int64_t unit = backend->types().row_alignment;
    const Matrix spread = matrix.widened((matrix.columns() + unit - 1) / unit * unit + more);
    Tensor placed = matrix.view();
    placed.row_stride = spread.columns();
    placed.data = put(spread.guarded_bytes());
    return placed;
  }
  // Waits and copies back; checks that nothing was written between or behind the rows.
  void get(const Tensor& placed, Matrix& matrix) {
    Matrix spread(placed.dtype, placed.rows, placed.row_stride);
    backend->download(*queue, spread.guarded_bytes(), placed.data);
    ASSERT_TRUE(backend->wait(*queue, 0).ok());
    matrix = spread.narrowed(placed.columns);
    EXPECT_TRUE(spread.same_bytes(matrix.widened(placed.row_stride)));
  }
  // Waits and copies `count` values back.
  template <class T>
  std::vector<T> get(const T* placed, int64_t count) {
    std::vector<T> values(count);
    backend->download(*queue,
                      std::as_writable_bytes(std::span<T>(values)),
                      reinterpret_cast<const std::byte*>(placed));
    EXPECT_TRUE(backend->wait(*queue, 0).ok());
    return values;
  }
  // Copies the rows and the arrays that they point to.
  SamplingRow* put_rows(std::vector<SamplingRow> rows) {
    for (SamplingRow& row : rows) {
      row.history = put(std::span<const int32_t>(row.history, row.num_history));
      row.bias_ids = put(std::span<const int32_t>(row.bias_ids, row.num_bias));
      row.bias_values = put(std::span<const float>(row.bias_values, row.num_bias));
      row.banned_ids = put(std::span<const int32_t>(row.banned_ids, row.num_banned));
    }
    return put(rows);
  }
  void reset() { used_ = 0; }

  std::unique_ptr<Backend> backend;
  std::unique_ptr<Queue> queue;
  Workspace workspace;

 private:
  static constexpr int64_t kArenaBytes = 64 << 20;

  std::byte* take(int64_t bytes) {
    std::byte* place = arena_.data() + used_;
    used_ += (bytes + 255) / 256 * 256;
    CHECK(used_ <= kArenaBytes);
    return place;
  }

  Buffer scratch_;
  Buffer arena_;
  int64_t used_ = 0;
};

// Only the CPU's tiers.
inline std::vector<BackendCase> cpu_cases() {
  std::vector<BackendCase> cases;
  for (const BackendCase& some : backend_cases()) {
    if (!some.is_cuda()) cases.push_back(some);
  }
  return cases;
}

inline auto all_backends() { return testing::ValuesIn(backend_cases()); }

// Of an op that does the same in both modes of CUDA (all but attention and matmul): one of them.
inline auto backends_of_one_mode() {
  std::vector<BackendCase> cases = backend_cases();
  std::erase_if(cases, [](const BackendCase& one) { return one.isa == "cuda"; });
  return testing::ValuesIn(cases);
}
inline std::string case_name(const testing::TestParamInfo<BackendCase>& info) {
  return info.param.name();
}

}  // namespace trireme
