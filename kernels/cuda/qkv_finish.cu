// Norm, rotation and store of the heads of q, k and v. For q and k:
//
//   y = x / sqrt(mean(x^2) + epsilon) (weight + offset), if there is a weight
//   (y_i, y_j) becomes (y_i cos - y_j sin, y_j cos + y_i sin), j = i + rotary_dim / 2
//
// k and v go to their rows of the page (page_image.h), zero past head_dim; q goes to its matrix.
// Rows of slot -1 are skipped.
//
// Layout: a warp takes one head of one row: 16-bit pairs into registers, fp32 in shared memory for
// the rotation, 16-byte chunks out. No fused multiply-adds, so the sums are those of the
// definition.
//
// Bound: bytes, 4 per value in and out. Share of peak: not yet measured.
#include "base/check.h"
#include "kernels/cuda/arch.h"
#include "kernels/cuda/backend.h"
#include "kernels/cuda/launch.h"
#include "kernels/cuda/qkv_head.h"

namespace trireme::cuda {

namespace {

constexpr int32_t kWarps = 8;
constexpr int32_t kThreads = 32 * kWarps;

struct FinishLayout {
  float head[kWarps][kMaxHeadDim];
};

template <class E>
__global__ void __launch_bounds__(kThreads)
    qkv_finish_kernel(const __grid_constant__ HeadWork work) {
  FinishLayout& shared = shared_memory<FinishLayout>();
  dependency_wait();
  const int32_t warp = threadIdx.x / 32;
  const int32_t heads = work.num_heads + 2 * work.num_kv_heads;
  const int64_t unit = static_cast<int64_t>(blockIdx.x) * kWarps + warp;
  if (unit >= static_cast<int64_t>(work.num_tokens) * heads) return;
  finish_head<E>(work, unit / heads, static_cast<int32_t>(unit % heads), shared.head[warp]);
}

}  // namespace

HeadWork head_work(const BatchView& batch,
                   const Tensor& qkv,
                   const QkvSpec& spec,
                   const KvPages& pages,
                   int32_t layer,
                   const Tensor& q,
                   DType type) {
  const HeadShape& shape = spec.shape;
  const int64_t heads = shape.num_heads + 2 * shape.num_kv_heads;
  const int32_t width = stored_dim(shape.head_dim);
  CHECK(shape.head_dim > 0 && shape.head_dim % 2 == 0 && shape.head_dim <= kMaxHeadDim);
  CHECK(qkv.dtype == type && q.dtype == type);
  CHECK(qkv.columns == heads * shape.head_dim && qkv.row_stride % 2 == 0);
  CHECK(q.columns == int64_t{shape.num_heads} * shape.head_dim && q.row_stride % 2 == 0);
  CHECK(spec.rope.rotary_dim <= shape.head_dim && spec.rope.rotary_dim % 2 == 0);
  CHECK(pages.layout.page_tokens == kPageTokens && pages.num_heads == shape.num_kv_heads);
  CHECK(pages.head_stride >= int64_t{4} * kPageTokens * width && pages.head_stride % 32 == 0);

  HeadWork work;
  work.positions = batch.positions;
  work.slots = batch.slots;
  work.page_table = batch.page_table;
  work.page_table_stride = batch.page_table_stride;
  work.num_tokens = batch.num_tokens;
  work.num_heads = shape.num_heads;
  work.num_kv_heads = shape.num_kv_heads;
  work.head_dim = shape.head_dim;
  work.stored_dim = width;
  work.qkv = qkv.row<uint16_t>(0);
  work.qkv_stride = qkv.row_stride;
  work.q = q.row<uint16_t>(0);
  work.q_stride = q.row_stride;
  work.kv = reinterpret_cast<unsigned char*>(pages.block(0, layer, 0));
  work.page_stride = pages.page_stride;
  work.head_stride = pages.head_stride;
  work.table = spec.rope.table;
  work.rotary_dim = spec.rope.rotary_dim;
  work.q_norm = spec.q_norm.data;
  work.k_norm = spec.k_norm.data;
  work.epsilon = spec.norm_epsilon;
  work.weight_offset = spec.norm_weight_offset;
  return work;
}

void CudaBackend::qkv_finish(Queue& queue,
                             const BatchView& batch,
                             Tensor qkv,
                             const QkvSpec& spec,
                             const KvPages& pages,
                             int32_t layer,
                             Tensor q) {
  const HeadWork work = head_work(batch, qkv, spec, pages, layer, q, options_.dtype);
  const int64_t heads = spec.shape.num_heads + 2 * spec.shape.num_kv_heads;
  const int64_t units = batch.num_tokens * heads;
  LaunchConfig config;
  config.grid = dim3(static_cast<unsigned>((units + kWarps - 1) / kWarps));
  config.block = dim3(kThreads);
  config.shared_bytes = sizeof(FinishLayout);
  launch(cuda_queue(queue),
         "qkv_finish",
         is_bf16() ? qkv_finish_kernel<Bf16> : qkv_finish_kernel<Fp16>,
         config,
         work);
}

}  // namespace trireme::cuda
