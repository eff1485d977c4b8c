// The Gumbel-max draw over rows of logits, whole or of a shard. Used by the sampling ops.
#pragma once

#include "kernels/cuda/cuda_queue.h"
#include "kernels/cuda/sampling/sampling_shape.h"

namespace trireme::cuda {

struct DrawTask {
  const float* logits = nullptr;
  int64_t row_stride = 0;
  int32_t width = 0;
  int32_t num_rows = 0;
  int64_t first_id = 0;
  const SamplingRow* rows = nullptr;
  const RowFilter* filters = nullptr;  // of rows that need_whole_row(), whose logits are divided by
                                       // the temperature already; or null: then those rows
                                       // draw nothing
  bool only_needed = false;            // the draws of rows that need no whole row stay
  uint64_t* parts = nullptr;           // [num_rows, num_draw_parts()] scratch
  ShardDraw* draws = nullptr;
};

void draw_rows(CudaQueue& queue, const DrawTask& task);

}  // namespace trireme::cuda
