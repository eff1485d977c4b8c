// Owned device memory, released by a function of the backend that allocated it. Move only.
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>

#include "kernels/tensor.h"

namespace trireme {

class Buffer {
 public:
  using Release = void (*)(std::byte* data, int64_t bytes);

  Buffer() = default;
  Buffer(std::byte* data, int64_t bytes, Release release)
      : data_(data), bytes_(bytes), release_(release) {}
  Buffer(Buffer&& other) noexcept { swap(other); }
  Buffer& operator=(Buffer&& other) noexcept {
    swap(other);
    return *this;
  }
  ~Buffer() {
    if (data_ != nullptr) release_(data_, bytes_);
  }

  std::byte* data() const { return data_; }
  int64_t bytes() const { return bytes_; }

  // A view of the buffer's start as a matrix [rows, columns]; the caller checks that it fits.
  Tensor as(DType dtype, int64_t rows, int64_t columns) const {
    return Tensor(data_, dtype, rows, columns);
  }

 private:
  void swap(Buffer& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(bytes_, other.bytes_);
    std::swap(release_, other.release_);
  }

  std::byte* data_ = nullptr;
  int64_t bytes_ = 0;
  Release release_ = nullptr;
};

}  // namespace trireme
