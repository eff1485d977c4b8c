// The matmul ops: y = act(x W^T + bias), by one of three algorithms.
//
// Stream kernel (linear_stream.cu): up to 16 rows, in the fast mode. For few rows it also performs
// the op that follows (linear_add_norm, linear_qkv).
//
// Tile kernel (linear_tile.cu): any number of rows, and all rows under --invariant. Where the tiles
// do not fill the queue's blocks, K is divided into chunks whose sums linear_finish.cu adds in
// order.
//
// cuBLASLt (cublaslt.h): fast mode, for shapes at which it was timed and found faster; for up to
// kMaxNormRows rows only where it needs no more launches than our kernels. Where an epilogue
// follows, its product is staged in pieces of rows (cuda_piece_rows()): gate and up in the
// activation type, a product before a bias in fp32. linear_finish.cu makes the output of each
// piece.
//
// Layout: cuda_weight.h. Bounds: the kernels' files. Inputs that a row's bits depend on:
// linear_launch.h.

#include <algorithm>

#include "kernels/cuda/backend.h"
#include "kernels/cuda/linear/linear_call.h"
#include "kernels/cuda/norm_row.h"
#include "kernels/cuda/qkv_head.h"

namespace trireme::cuda {

OwnLinear CudaBackend::own_linear(const CudaQueue& queue, const LinearCall& call) const {
  const LinearShape shape = linear_shape(call);
  const LinearLaunch launch =
      choose_linear(shape, {queue.num_blocks(), tile_residency_}, options_.invariant);
  return {make_linear_task(call, launch), shape, launch};
}

bool CudaBackend::takes_next(const CudaQueue& queue,
                             const LinearCall& call,
                             const OwnLinear& own) const {
  if (queue.counters() == nullptr) return false;
  switch (call.next) {
    case LinearCall::Next::kNorm:
      return takes_norm(own.shape, own.launch);
    case LinearCall::Next::kHeads:
      return call.head_dim % kChunk == 0 && call.rotary_dim % (2 * kChunk) == 0 &&
             takes_heads(own.shape, own.launch, call.head_dim);
    default:
      return false;
  }
}

void CudaBackend::linear(Queue& queue,
                         Workspace& workspace,
                         Tensor x,
                         const Weight& weight,
                         const Epilogue& epilogue,
                         Tensor out) {
  const LinearCall call = {x, &weight, epilogue, out};
  check_linear(call, options_.dtype);
  CudaQueue& stream = cuda_queue(queue);
  const OwnLinear own = own_linear(stream, call);
  if (own.launch.num_tiles() == 0) return;
  if (cublaslt_ != nullptr && may_use_cublaslt(own.task) &&
      cublaslt_->run(stream,
                     cublaslt_call(own.task, workspace),
                     finish_of(stream, own.task, workspace, is_bf16()))) {
    return;
  }
  enqueue_own(stream, workspace, own, is_bf16());
}

void CudaBackend::linear_add_norm(
    Queue& queue, Workspace& workspace, Tensor x, const Weight& weight, const NormedSum& sum) {
  const LinearCall call = {x, &weight, {}, sum.delta, LinearCall::Next::kNorm};
  CudaQueue& stream = cuda_queue(queue);
  const OwnLinear own = own_linear(stream, call);
  if (!takes_next(stream, call, own)) {
    return Backend::linear_add_norm(queue, workspace, x, weight, sum);
  }
  check_linear(call, options_.dtype);
  const NormTask norm =
      norm_task(sum.residual, &sum.delta, sum.bias, sum.norm, sum.out, options_.dtype);
  launch_linear_norm(stream, own.launch, own.task, norm, is_bf16());
}

void CudaBackend::linear_qkv(Queue& queue,
                             Workspace& workspace,
                             Tensor x,
                             const Weight& weight,
                             Vector bias,
                             const QkvTarget& target) {
  const int32_t head_dim = target.spec.shape.head_dim;
  const int32_t rotary_dim = target.spec.rope.rotary_dim;
  const LinearCall call = {
      x, &weight, {.bias = bias}, target.qkv, LinearCall::Next::kHeads, head_dim, rotary_dim};
  CudaQueue& stream = cuda_queue(queue);
  const OwnLinear own = own_linear(stream, call);
  const HeadWork work = head_work(
      target.batch, target.qkv, target.spec, target.pages, target.layer, target.q, options_.dtype);
  const bool fuses = takes_next(stream, call, own) && is_in_chunks(work);
  // With a few rows more than kMaxNormRows the library can save more than a launch costs.
  const bool prefers_library = fuses && cublaslt_ != nullptr && own.task.rows > kMaxNormRows &&
                               cublaslt_->accepts(cublaslt_call(own.task, workspace));
  if (!fuses || prefers_library) {
    return Backend::linear_qkv(queue, workspace, x, weight, bias, target);
  }
  check_linear(call, options_.dtype);
  launch_linear_heads(stream, own.launch, own.task, work, is_bf16());
}

cudaError_t prepare_linear(bool is_bf16, TileResidency& resident) {
  return prepare_linear_tile(is_bf16, resident);
}

int64_t linear_workspace_bytes(const OpLimits& limits, bool invariant) {
  const int64_t sums = kMaxSplit * limits.rows * pad_to(limits.n, kRowPad) * int64_t{sizeof(float)};
  const int64_t staged = invariant ? 0 : limits.epilogue_n;
  return std::max(std::min(kPartialBytes, sums), cuda_workspace_bytes(limits.rows, staged));
}

}  // namespace trireme::cuda
