// Tails: the op that follows a matmul, in the launch of the stream kernel. Where that op needs the
// outputs of several blocks, the last of them to arrive performs it. Its bits are those of the op's
// own launch, since the code is the same (norm_row.h, qkv_head.h) and so is its input, outputs
// rounded and stored. This saves a launch and the gap between two nodes of a graph. Device code
// only.
//
// A tail takes the time of its memory accesses in sequence, so it loads all that no block of this
// launch writes before it arrives: look_ahead() while the block's sums are exchanged, run() the
// rest. After the arrival follows one latency, that of the outputs.
#pragma once

#include "kernels/cuda/last_block.h"
#include "kernels/cuda/linear/linear_launch.h"
#include "kernels/cuda/linear/linear_output.h"
#include "kernels/cuda/norm_row.h"
#include "kernels/cuda/qkv_head.h"

namespace trireme::cuda {

struct NoTail {
  struct Shared {};
  struct Ahead {};
};

// Tail of linear_add_norm(): the outputs are the delta of a norm; the last block of the grid adds
// and normalizes all rows.
struct NormTail {
  NormTask norm;
  int32_t threads = 0;  // per row
  uint32_t* counter = nullptr;

  // Residual and weights are loaded early by the blocks that may be the last: those that have seen
  // all but this many arrive, more than arrive while a block exchanges its sums. All blocks of a
  // wave would load them at the same time, megabytes from L2 just before they arrive.
  static constexpr int32_t kLateBlocks = 64;

  struct Shared {
    int32_t word;
    NormShared rows[kMaxNormRows];
  };
  using Ahead = uint32_t;  // the blocks that have arrived

  struct Inputs {
    RowChunks<kMaxNormChunks> residual[kMaxNormRows];
    ChunkWeights<kMaxNormChunks> weights;
  };

  __device__ __forceinline__ Ahead look_ahead(const LinearTask&) const {
    return *static_cast<const volatile uint32_t*>(counter);  // others add to it meanwhile
  }

  __device__ __forceinline__ void load(Inputs& inputs) const {
    const int32_t first = first_chunk(norm, threads);
#pragma unroll
    for (int row = 0; row < kMaxNormRows; ++row) {
      const int32_t width = row < norm.rows ? norm.width : 0;
      load_chunks(
          norm.residual + row * norm.residual_stride, first, threads, width, inputs.residual[row]);
    }
    if (norm.out != nullptr) load_chunks(norm.weight, first, threads, norm.width, inputs.weights);
  }

  template <class E>
  __device__ __forceinline__ void run(
      const LinearTask& task, int32_t, int32_t, Ahead arrived, Shared& s) const {
    Inputs inputs;
    const bool is_late = task.row_tiles - static_cast<int32_t>(arrived) <= kLateBlocks;
    if (is_late) load(inputs);
    if (!arrives_last(counter, task.row_tiles, &s.word)) return;
    if (!is_late) load(inputs);
    RowChunks<kMaxNormChunks> delta[kMaxNormRows];
    const int32_t first = first_chunk(norm, threads);
#pragma unroll
    for (int row = 0; row < kMaxNormRows; ++row) {
      const int32_t width = row < norm.rows ? norm.width : 0;
      load_chunks(norm.delta + row * norm.delta_stride, first, threads, width, delta[row]);
    }
#pragma unroll
    for (int row = 0; row < kMaxNormRows; ++row) {
      if (row >= norm.rows) break;
      norm_loaded_row<E, kMaxNormChunks>(
          norm, row, threads, inputs.residual[row], delta[row], &inputs.weights, s.rows[row]);
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
  };
  using Ahead = TokenPlace;  // of this warp's row

  __device__ __forceinline__ Ahead look_ahead(const LinearTask& task) const {
    const int32_t row = static_cast<int32_t>(threadIdx.x) / 32;
    return row < task.rows ? token_place(work, row) : TokenPlace{-1, 0};
  }

  template <class E>
  __device__ __forceinline__ void run(const LinearTask&,
                                      int32_t first_row,
                                      int32_t tile_rows,
                                      const Ahead& place,
                                      Shared& s) const {
    const int32_t head = first_row / work.head_dim;
    const int32_t row = static_cast<int32_t>(threadIdx.x) / 32;
    HeadLane<32> lane(work, row);
    HeadWeight weight;
    if (place.slot >= 0) {
      lane.load(work, row, place);
      if (has_norm(work)) weight = load_weight(work, head, lane.chunk);
    }
    if (!arrives_last(counters + head, work.head_dim / tile_rows, &s.word)) return;
    if (place.slot < 0) return;
    const uint4 raw = lane.load_head(work, head);
    lane.prepare(work);
    if (has_norm(work)) {
      lane.finish<E, true>(work, head, raw, weight);
    } else {
      lane.finish<E, false>(work, head, raw, weight);
    }
  }
};

}  // namespace trireme::cuda
