// The launchers of the matmul kernels; CudaBackend::linear decides which one runs.
#pragma once

#include "kernels/cuda/cuda_queue.h"
#include "kernels/cuda/linear_launch.h"
#include "kernels/cuda/linear_output.h"

namespace trireme::cuda {

// linear_tile.cu: the ring of shared tiles, any number of rows.
void launch_linear_tile(CudaQueue& queue,
                        const LinearLaunch& launch,
                        const LinearTask& task,
                        bool is_bf16);
cudaError_t prepare_linear_tile();

// linear_stream.cu: up to kMaxStreamRows rows, at the rate of memory.
void launch_linear_stream(CudaQueue& queue,
                          const LinearLaunch& launch,
                          const LinearTask& task,
                          bool is_bf16);

// linear_finish.cu: adds task.split_k partial sums in order, then the epilogue.
void launch_linear_finish(CudaQueue& queue, const LinearTask& task, bool is_bf16);

}  // namespace trireme::cuda
