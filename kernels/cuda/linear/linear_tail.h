// Tails: the op that follows a matmul, in the launch of the stream kernel. Where that op needs the
// outputs of several blocks, the last of them to arrive performs it. Its bits are those of the op's
// own launch, since the code is the same (norm_row.h, qkv_head.h) and so is its input, outputs
// rounded and stored. This saves a launch and the gap between two nodes of a graph. Device code
// only.
#pragma once

#include "kernels/cuda/last_block.h"
#include "kernels/cuda/linear/linear_launch.h"
#include "kernels/cuda/linear/linear_output.h"
#include "kernels/cuda/norm_row.h"
#include "kernels/cuda/qkv_head.h"

namespace trireme::cuda {

struct NoTail {
  struct Shared {};
};

// Tail of linear_add_norm(): the outputs are the delta of a norm; the last block of the grid adds
// and normalizes all rows.
struct NormTail {
  NormTask norm;
  int32_t threads = 0;  // per row
  uint32_t* counter = nullptr;

  struct Shared {
    int32_t word;
    NormShared rows[kMaxNormRows];
  };

  template <class E>
  __device__ __forceinline__ void run(const LinearTask& task, int32_t, int32_t, Shared& s) const {
    if (!arrives_last(counter, task.row_tiles, &s.word)) return;
#pragma unroll
    for (int row = 0; row < kMaxNormRows; ++row) {
      if (row < norm.rows) norm_row<E, kMaxNormChunks>(norm, row, threads, s.rows[row]);
    }
  }
};

// Tail of linear_qkv(): the outputs are heads of q, k and v; the last of the blocks of a head
// finishes it, one warp per row.
struct HeadTail {
  HeadWork work;
  uint32_t* counters = nullptr;  // by head

  struct Shared {
    int32_t word;
    float heads[kMaxHeadRows][kMaxHeadDim];
  };

  template <class E>
  __device__ __forceinline__ void run(const LinearTask& task,
                                      int32_t first_row,
                                      int32_t tile_rows,
                                      Shared& s) const {
    const int32_t head = first_row / work.head_dim;
    if (!arrives_last(counters + head, work.head_dim / tile_rows, &s.word)) return;
    const int32_t row = static_cast<int32_t>(threadIdx.x) / 32;
    if (row < task.rows) finish_head<E>(work, row, head, s.heads[row]);
  }
};

}  // namespace trireme::cuda
