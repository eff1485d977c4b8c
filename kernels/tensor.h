// A view of a matrix: never owns. Rows are contiguous, `row_stride` elements apart.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/dtype.h"

namespace trireme {

struct Tensor {
  std::byte* data = nullptr;
  DType dtype = DType::kFloat32;
  int64_t rows = 0;
  int64_t columns = 0;
  int64_t row_stride = 0;

  Tensor() = default;
  Tensor(void* data, DType dtype, int64_t rows, int64_t columns)
      : data(static_cast<std::byte*>(data)),
        dtype(dtype),
        rows(rows),
        columns(columns),
        row_stride(columns) {}

  template <class T>
  T* row(int64_t index) const {
    return reinterpret_cast<T*>(data) + index * row_stride;
  }
  int64_t bytes() const { return rows * columns * size_of(dtype); }

  // The first `count` rows.
  Tensor first_rows(int64_t count) const {
    Tensor part = *this;
    part.rows = count;
    return part;
  }
};

}  // namespace trireme
