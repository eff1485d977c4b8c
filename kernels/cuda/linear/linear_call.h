// From the arguments of a matmul op to the task of our kernels and the call of cuBLASLt. Host
// functions, pure except for those that enqueue.
#pragma once

#include "kernels/backend.h"
#include "kernels/cuda/cublaslt.h"
#include "kernels/cuda/cuda_weight.h"
#include "kernels/cuda/linear/linear_kernels.h"

namespace trireme::cuda {

// A matmul op as our kernels do it.
struct OwnLinear {
  LinearTask task;
  LinearShape shape;
  LinearLaunch launch;  // no tiles: no work
};

const CudaWeight& packed_of(const LinearCall& call);
// CHECKs the contract of Backend::linear().
void check_linear(const LinearCall& call, DType activation);
LinearTask make_linear_task(const LinearCall& call, const LinearLaunch& launch);
LinearShape linear_shape(const LinearCall& call);

void enqueue_own(CudaQueue& queue, const Workspace& workspace, const OwnLinear& own, bool is_bf16);

// Whether cuBLASLt may be used at all. Launches dominate a step of few rows, so a timing of one
// matmul may not add a node to its graph. Gate and up of which an fp32 output is made cannot be
// staged in 16 bits.
bool may_use_cublaslt(const LinearTask& task);

// The call of cuBLASLt: directly to the output or, if an epilogue has to follow, in pieces to the
// workspace: gate and up in the activation type, a product before a bias in fp32.
MatmulCall cublaslt_call(const LinearTask& task, const Workspace& workspace);

// Enqueues the epilogue of a staged piece; empty where none has to follow. The arguments outlive
// it.
CublasLt::Finish finish_of(CudaQueue& queue,
                           const LinearTask& task,
                           const Workspace& workspace,
                           bool is_bf16);

}  // namespace trireme::cuda
