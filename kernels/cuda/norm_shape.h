// How the rows of a norm are distributed over blocks. The threads of a row, and with them the order
// of its sums, follow from the width alone, so that a row has the same bits in any batch.
#pragma once

#include <algorithm>
#include <cstdint>

namespace trireme::cuda {

struct NormShape {
  int32_t threads = 0;         // per row; whole warps
  int32_t rows_per_block = 0;  // more than one only for rows of one warp
  int32_t chunks = 0;          // chunks of eight elements in a thread's registers; 0: reread
};

constexpr int32_t kMaxNormThreads = 512;
constexpr int32_t kMaxNormChunks = 4;

constexpr NormShape norm_shape(int64_t width, int64_t rows) {
  const int64_t chunks = (width + 7) / 8;
  NormShape shape;
  shape.threads = chunks <= 32 ? 32 : chunks <= 128 ? 128 : chunks <= 1024 ? 256 : kMaxNormThreads;
  const int64_t needed = (chunks + shape.threads - 1) / shape.threads;
  shape.chunks = needed <= 1 ? 1 : needed == 2 ? 2 : needed <= kMaxNormChunks ? kMaxNormChunks : 0;
  // Few rows are spread over the SMs; many rows fill blocks.
  shape.rows_per_block = shape.threads == 32 && rows > 64 ? 4 : 1;
  return shape;
}

}  // namespace trireme::cuda
