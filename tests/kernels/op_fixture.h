// What the op suite shares: a backend by tier, type and threads, random matrices, guarded buffers.
#pragma once

#include <gtest/gtest.h>

#include <cstring>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "kernels/cpu_backend.h"
#include "tests/tolerance.h"

namespace trireme {

struct BackendCase {
  std::string isa;
  DType dtype;
  std::string name() const { return isa + "_" + std::string(name_of(dtype)); }
};

// Every tier this processor has, in both types.
inline std::vector<BackendCase> backend_cases() {
  std::vector<BackendCase> cases;
  for (const char* isa : {"portable", "avx2", "avx512", "avx512_bf16"}) {
    if (!make_cpu_backend({1, DType::kFloat32, isa}).ok()) continue;
    cases.push_back({isa, DType::kFloat32});
    cases.push_back({isa, DType::kBFloat16});
  }
  return cases;
}

// A matrix of `rows` x `columns` with guard bytes behind it, filled with NaN.
class Matrix {
 public:
  Matrix(DType dtype, int64_t rows, int64_t columns)
      : bytes_(rows * columns * size_of(dtype) + kGuard, std::byte{0xff}),
        view_(bytes_.data(), dtype, rows, columns) {}

  Tensor view() const { return view_; }
  double at(int64_t row, int64_t column) const {
    if (view_.dtype == DType::kFloat32) return view_.row<float>(row)[column];
    if (view_.dtype == DType::kFloat16) return fp16_to_float(view_.row<fp16_t>(row)[column]);
    return bf16_to_float(view_.row<bf16_t>(row)[column]);
  }
  void set(int64_t row, int64_t column, float value) {
    if (view_.dtype == DType::kFloat32) {
      view_.row<float>(row)[column] = value;
    } else {
      view_.row<bf16_t>(row)[column] = float_to_bf16(value);
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
    backend = make_cpu_backend({threads, GetParam().dtype, GetParam().isa}).value();
    queue = backend->make_queue();
    memory.resize(backend->workspace_bytes(600, 4096, 8192));
    workspace = {memory.data(), static_cast<int64_t>(memory.size())};
  }
  DType input() const { return GetParam().dtype; }

  std::unique_ptr<Backend> backend;
  std::unique_ptr<Queue> queue;
  std::vector<std::byte> memory;
  Workspace workspace;
};

}  // namespace trireme
