// The launchers of the matmul kernels; linear.cu decides which one runs.
//
// Instances, each for bf16 and fp16 (registers by ptxas for sm_80 / sm_90a; no spills, no stack):
//   kernel, tile          threads  registers  shared bytes  blocks per SM promised to ptxas
//   tile, 8 tokens            128    96 /  96        69632  2
//   tile, 16                  128   111 / 111        73728  2
//   tile, 32                  128   128 / 128        81920  2
//   tile, 64                  128   209 / 205        98304  2
//   tile, 128                 256   128 / 127        98304  2
//   tile, 128, folds          256   203 / 203        98304  1
//   tile, 256                 256   217 / 222        98304  1
//   stream, 8 x 16 rows       256    96 /  96         5120  2
//   stream, 8 x 32            256    96 / 103         9216  2
//   stream, 16 x 16           256   114 / 115        10240  2
//   stream, 16 x 32           256   116 / 118        18432  2
//     with a norm             256   126 / 125         5120  2
//     with heads              256    97 /  98         5120  2
//   stream, 8 x 32, norm      256   126 / 125         9216  2
//     with heads              256   101 / 105         9216  2
//   finish                    128    48 /  48            0  -
//   finish, staged            128    32 /  32            0  -
//
// 98304 bytes fit every GPU from sm_80 on (kMinSharedBytes), and twice on an SM of sm_90. The
// number of blocks that an SM holds is queried at start.
#pragma once

#include "kernels/cuda/cuda_queue.h"
#include "kernels/cuda/linear/linear_launch.h"
#include "kernels/cuda/linear/linear_output.h"

namespace trireme::cuda {

struct NormTask;  // norm_row.h
struct HeadWork;  // qkv_head.h

// linear_tile.cu: tiles in shared memory, any number of rows.
void launch_linear_tile(CudaQueue& queue,
                        const LinearLaunch& launch,
                        const LinearTask& task,
                        bool is_bf16);
cudaError_t prepare_linear_tile(bool is_bf16, TileResidency& resident);

// linear_stream.cu: up to kMaxStreamRows rows, at the rate of memory.
void launch_linear_stream(CudaQueue& queue,
                          const LinearLaunch& launch,
                          const LinearTask& task,
                          bool is_bf16);

// The stream kernel with a tail (linear_tail.h), for launches that take one (takes_norm,
// takes_heads).
void launch_linear_norm(CudaQueue& queue,
                        const LinearLaunch& launch,
                        const LinearTask& task,
                        const NormTask& norm,
                        bool is_bf16);
void launch_linear_heads(CudaQueue& queue,
                         const LinearLaunch& launch,
                         const LinearTask& task,
                         const HeadWork& work,
                         bool is_bf16);

// linear_finish.cu: adds task.split_k partial sums in order, then applies the epilogue.
void launch_linear_finish(CudaQueue& queue, const LinearTask& task, bool is_bf16);

// Applies the epilogue of gate and up to a library's product, [task.rows, task.padded_n] in the
// activation type.
void launch_linear_finish_staged(CudaQueue& queue,
                                 const LinearTask& task,
                                 const uint16_t* product,
                                 bool is_bf16);

}  // namespace trireme::cuda
