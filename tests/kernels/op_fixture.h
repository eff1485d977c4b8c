// What the op suite shares: a backend by name, tier, type and threads; random matrices with guard
// bytes, and the way to the device and back, so that a test never touches device memory itself.
#pragma once

#include <gtest/gtest.h>

#include <cstring>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "base/check.h"
#include "kernels/cpu_backend.h"
#include "tests/tolerance.h"

namespace trireme {

struct BackendCase {
  std::string isa;
  DType dtype;
  std::string name() const { return isa + "_" + std::string(name_of(dtype)); }
};

inline StatusOr<std::unique_ptr<Backend>> make_backend(const BackendCase& wanted, int threads) {
  return make_cpu_backend({threads, wanted.dtype, wanted.isa});
}

// Every tier this processor has, in both types.
inline std::vector<BackendCase> backend_cases() {
  std::vector<BackendCase> cases;
  for (const char* isa : {"portable", "avx2", "avx512", "avx512_bf16"}) {
    if (!make_backend({isa, DType::kFloat32}, 1).ok()) continue;
    cases.push_back({isa, DType::kFloat32});
    cases.push_back({isa, DType::kBFloat16});
  }
  return cases;
}

// A matrix of `rows` x `columns` on the host with guard bytes behind it, filled with NaN.
class Matrix {
 public:
  Matrix(DType dtype, int64_t rows, int64_t columns)
      : bytes_(rows * columns * size_of(dtype) + kGuard, std::byte{0xff}),
        view_(bytes_.data(), dtype, rows, columns) {}
  Matrix(Matrix&&) = default;
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
    } else {
      view_.row<bf16_t>(row)[column] = float_to_bf16(static_cast<float>(value));
    }
  }
  bool guard_is_whole() const {
    for (size_t i = bytes_.size() - kGuard; i < bytes_.size(); ++i) {
      if (bytes_[i] != std::byte{0xff}) return false;
    }
    return true;
  }
  bool same_row(int64_t row, const Matrix& other, int64_t other_row) const {
    const int64_t size = view_.columns * size_of(view_.dtype);
    return std::memcmp(bytes_.data() + row * size, other.bytes_.data() + other_row * size, size) ==
           0;
  }
  // Rows [first, first + count).
  Matrix part(int64_t first, int64_t count) const {
    Matrix copy(dtype(), count, columns());
    const int64_t row_bytes = columns() * size_of(dtype());
    std::memcpy(copy.bytes_.data(), bytes_.data() + first * row_bytes, count * row_bytes);
    return copy;
  }

 private:
  static constexpr size_t kGuard = 64;
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
    const int64_t scratch = backend->workspace_bytes(600, 4096, 8192);
    scratch_ = backend->allocate(scratch, "scratch").value();
    workspace = {scratch_.data(), scratch};
    arena_ = backend->allocate(kArenaBytes, "test data").value();
    used_ = 0;
  }
  DType input() const { return GetParam().dtype; }

  // Copies to the device; what was put is forgotten by the next reset().
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
  Tensor put(const Matrix& matrix) {
    Tensor placed = matrix.view();
    placed.data = put(matrix.guarded_bytes());
    return placed;
  }
  // Waits and copies back, guard included.
  void get(const Tensor& placed, Matrix& matrix) {
    backend->download(*queue, matrix.guarded_bytes(), placed.data);
    ASSERT_TRUE(backend->wait(*queue, 0).ok());
    EXPECT_TRUE(matrix.guard_is_whole());
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
  // What the rows point to goes to the device too.
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

inline auto all_backends() { return testing::ValuesIn(backend_cases()); }
inline std::string case_name(const testing::TestParamInfo<BackendCase>& info) {
  return info.param.name();
}

}  // namespace trireme
