// How a norm's rows are shared out. The threads of a row, and with them the order of its sums,
// follow from the width alone: a row has the same bits in any company (D1).
#pragma once

#include <algorithm>
#include <cstdint>

namespace trireme::cuda {

struct NormShape {
  int32_t threads = 0;         // of a row; whole warps
  int32_t rows_per_block = 0;  // more than one for rows of one warp only
  int32_t chunks = 0;          // of eight elements that a thread keeps in registers; 0: rereads
};

constexpr int32_t kMaxNormThreads = 512;
constexpr int32_t kMaxNormChunks = 4;

constexpr NormShape norm_shape(int64_t width, int64_t rows) {
  const int64_t chunks = (width + 7) / 8;
  NormShape shape;
  shape.threads = chunks <= 32 ? 32 : chunks <= 128 ? 128 : chunks <= 1024 ? 256 : kMaxNormThreads;
  const int64_t needed = (chunks + shape.threads - 1) / shape.threads;
  shape.chunks = needed <= 1 ? 1 : needed == 2 ? 2 : needed <= kMaxNormChunks ? kMaxNormChunks : 0;
  // Few rows spread over the SMs; many fill blocks.
  shape.rows_per_block = shape.threads == 32 && rows > 64 ? 4 : 1;
  return shape;
}

}  // namespace trireme::cuda
