// residual += delta + delta_bias; out = (residual - mean) / sqrt(variance + epsilon)
//                                        * (weight + offset) + bias
// with mean 0 for RMSNorm. The sum is rounded to the residual's type before it is used.
//
// Layout: rows of a 16-bit type, 16-byte aligned, in chunks of eight elements; chunk c of a row
// belongs to thread c mod threads. Order of a statistic: the chunks of a thread ascending, one
// chain; lanes by the xor tree 16, 8, 4, 2, 1; warps ascending. It depends on the width alone.
//
// Bound: bytes, 2 (2 + 1 + 1) width per row with a delta. Share of peak: not yet measured.
#include "base/check.h"
#include "kernels/cuda/arch.h"
#include "kernels/cuda/backend.h"
#include "kernels/cuda/launch.h"
#include "kernels/cuda/norm_row.h"

namespace trireme::cuda {

namespace {

template <class E, int kChunks>
__global__ void __launch_bounds__(kMaxNormThreads) norm_rows(NormTask task) {
  dependency_wait();
  auto& shared = shared_memory<NormShared>();
  const int64_t row = static_cast<int64_t>(blockIdx.x) * blockDim.y + threadIdx.y;
  if (row >= task.rows) return;  // the row has this warp to itself, so the warp leaves as a whole
  norm_row<E, kChunks>(task, row, static_cast<int32_t>(blockDim.x), shared);
}

template <class E>
void launch_norm(CudaQueue& queue, const NormTask& task) {
  const NormShape shape = norm_shape(task.width, task.rows);
  LaunchConfig config;
  config.block = {
      static_cast<unsigned>(shape.threads), static_cast<unsigned>(shape.rows_per_block), 1};
  config.grid.x =
      static_cast<unsigned>((task.rows + shape.rows_per_block - 1) / shape.rows_per_block);
  config.shared_bytes = sizeof(NormShared);
  const auto kernel = shape.chunks == 1   ? norm_rows<E, 1>
                      : shape.chunks == 2 ? norm_rows<E, 2>
                      : shape.chunks == 4 ? norm_rows<E, 4>
                                          : norm_rows<E, 0>;
  launch(queue, "add_norm", kernel, config, task);
}

bool is_aligned(const void* data) { return reinterpret_cast<uintptr_t>(data) % 16 == 0; }

bool has_aligned_rows(const Tensor& tensor) {
  return is_aligned(tensor.data) && tensor.row_stride % kChunk == 0;
}

}  // namespace

NormTask norm_task(const Tensor& residual,
                   const Tensor* delta,
                   Vector delta_bias,
                   const Norm& norm,
                   const Tensor& out,
                   DType type) {
  const int64_t width = residual.columns;
  const bool has_out = out.data != nullptr;
  CHECK(residual.dtype == type && has_aligned_rows(residual));
  CHECK(delta == nullptr || (delta->dtype == residual.dtype && delta->rows >= residual.rows &&
                             delta->columns == width && has_aligned_rows(*delta)));
  CHECK(delta_bias.data == nullptr || (delta_bias.size == width && is_aligned(delta_bias.data)));
  CHECK(!has_out || (out.columns == width && norm.weight.size == width && has_aligned_rows(out)));
  CHECK(!has_out || out.dtype == type || out.dtype == DType::kFloat32);
  CHECK(is_aligned(norm.weight.data) && is_aligned(norm.bias.data));
  NormTask task;
  task.residual = residual.row<uint16_t>(0);
  task.residual_stride = residual.row_stride;
  task.delta = delta == nullptr ? nullptr : delta->row<uint16_t>(0);
  task.delta_stride = delta == nullptr ? 0 : delta->row_stride;
  task.delta_bias = delta_bias.data;
  task.weight = norm.weight.data;
  task.bias = norm.bias.data;
  task.out = out.data;
  task.out_stride = out.row_stride;
  task.out_is_float = out.dtype == DType::kFloat32;
  task.is_layer_norm = norm.kind == NormKind::kLayer;
  task.epsilon = norm.epsilon;
  task.weight_offset = norm.weight_offset;
  task.width = static_cast<int32_t>(width);
  task.rows = static_cast<int32_t>(residual.rows);
  return task;
}

void CudaBackend::add_norm(Queue& queue,
                           Tensor residual,
                           const Tensor* delta,
                           Vector delta_bias,
                           const Norm& norm,
                           Tensor out) {
  const NormTask task = norm_task(residual, delta, delta_bias, norm, out, options_.dtype);
  if (task.rows == 0 || task.width == 0) return;
  is_bf16() ? launch_norm<Bf16>(cuda_queue(queue), task)
            : launch_norm<Fp16>(cuda_queue(queue), task);
}

}  // namespace trireme::cuda
