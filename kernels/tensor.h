// View of a matrix; never owns. Elements of a row are contiguous, rows are `row_stride` elements
// apart.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/dtype.h"

namespace trireme {

// `columns` rounded up to a multiple of `alignment`.
constexpr int64_t aligned(int64_t columns, int64_t alignment) {
  return (columns + alignment - 1) / alignment * alignment;
}

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
  // The same with the gaps between rows.
  int64_t span_bytes() const { return rows * row_stride * size_of(dtype); }
  // The same memory with the gaps as columns: [rows, row_stride].
  Tensor with_gaps() const {
    Tensor whole = *this;
    whole.columns = row_stride;
    return whole;
  }

  // The first `count` rows.
  Tensor first_rows(int64_t count) const {
    Tensor part = *this;
    part.rows = count;
    return part;
  }
};

}  // namespace trireme
