// The attention op: out[t, h] = softmax(scale q[t, h] K^T) V over the pages that token t sees. One
// launch of the planner per step and attention class, then two launches per layer, prefill and
// decode, whose blocks find their units in the plan (attention_plan.h).
//
// Layout and bound: attention_prefill.cu, attention_decode.cu.
#include <cmath>
#include <limits>

#include "base/check.h"
#include "kernels/cuda/attention/attention_launch.h"
#include "kernels/cuda/attention/attention_plan.h"
#include "kernels/cuda/backend.h"

namespace trireme::cuda {

namespace {

constexpr double kLog2E = 1.4426950408889634;

ScoreRule score_rule(const AttentionSpec& spec) {
  ScoreRule rule;
  rule.window = spec.window > 0 ? spec.window : std::numeric_limits<int32_t>::max();
  if (spec.soft_cap > 0) {
    rule.cap_factor = static_cast<float>(2 * kLog2E * spec.scale / spec.soft_cap);
    rule.factor = static_cast<float>(kLog2E * spec.soft_cap);
  } else {
    rule.cap_factor = 0;
    rule.factor = static_cast<float>(kLog2E * spec.scale);
  }
  return rule;
}

void check_shapes(const AttentionSpec& spec, const KvPages& pages) {
  const HeadShape& shape = spec.shape;
  CHECK(shape.num_kv_heads > 0 && shape.num_heads % shape.num_kv_heads == 0);
  CHECK(shape.head_dim > 0 && shape.head_dim % 2 == 0 && shape.head_dim <= kMaxHeadDim);
  CHECK(spec.scale > 0);
  CHECK(pages.layout.page_tokens == kPageTokens && pages.num_heads == shape.num_kv_heads);
  CHECK(pages.head_stride >= int64_t{4} * kPageTokens * stored_dim(shape.head_dim));
  CHECK(pages.head_stride % 32 == 0 && pages.page_stride % 16 == 0);
}

}  // namespace

cudaError_t prepare_attention(bool is_bf16,
                              bool is_invariant,
                              int64_t shared_limit,
                              AttentionFits& fits) {
  const cudaError_t error = prepare_prefill(is_bf16, is_invariant, shared_limit, fits);
  return error != cudaSuccess ? error : prepare_decode(is_bf16, is_invariant, shared_limit, fits);
}

int64_t attention_workspace_bytes(int64_t, int64_t) { return kPartialBytes; }

int64_t CudaBackend::attention_plan_bytes(int32_t max_batched_tokens,
                                          int32_t max_segments,
                                          const HeadShape& shape) const {
  return cuda_attention_plan_bytes(max_batched_tokens,
                                   max_segments,
                                   shape.num_heads,
                                   shape.num_kv_heads,
                                   stored_dim(shape.head_dim));
}

void CudaBackend::plan_attention(Queue& queue,
                                 const BatchView& batch,
                                 const AttentionSpec& spec,
                                 const KvPages& pages,
                                 const AttentionPlan& plan) {
  check_shapes(spec, pages);
  CudaQueue& stream = cuda_queue(queue);
  const auto& fits = attention_fits_.of(stored_dim(spec.shape.head_dim));
  launch_planner(stream,
                 plan_view(plan, batch, spec.shape),
                 plan_arguments(batch, spec, fits, stream.num_blocks(), options_.invariant));
}

void CudaBackend::attention(Queue& queue,
                            Workspace& workspace,
                            const BatchView& batch,
                            Tensor q,
                            const AttentionSpec& spec,
                            const AttentionPlan& plan,
                            const KvPages& pages,
                            int32_t layer,
                            Tensor out) {
  const HeadShape& shape = spec.shape;
  check_shapes(spec, pages);
  CHECK(q.dtype == options_.dtype && out.dtype == options_.dtype);
  CHECK(q.columns == int64_t{shape.num_heads} * shape.head_dim && out.columns == q.columns);
  CHECK(q.row_stride % 8 == 0 && out.row_stride % 2 == 0);
  CHECK(workspace.bytes >= kPartialBytes);
  if (batch.num_segments == 0) return;
  CudaQueue& stream = cuda_queue(queue);

  AttentionWork work = {};
  work.plan = plan_view(plan, batch, shape);
  work.page_table = batch.page_table;
  work.page_table_stride = batch.page_table_stride;
  work.group = shape.num_heads / shape.num_kv_heads;
  work.num_kv_heads = shape.num_kv_heads;
  work.head_dim = shape.head_dim;
  work.q = q.row<uint16_t>(0);
  work.q_stride = q.row_stride;
  work.out = out.row<uint16_t>(0);
  work.out_stride = out.row_stride;
  work.kv = reinterpret_cast<const unsigned char*>(pages.block(0, layer, 0));
  work.page_stride = pages.page_stride;
  work.head_stride = pages.head_stride;
  work.v_offset = pages.head_stride / 2;
  work.rule = score_rule(spec);
  work.is_invariant = options_.invariant;

  const int32_t width = stored_dim(shape.head_dim);
  const auto& fits = attention_fits_.of(width);
  const AttentionFit& prefill = fits[kPrefillKernel];
  const int64_t runs = int64_t{launch_blocks(prefill, stream.num_blocks())} * prefill.run_bytes;
  if (runs > 0) work.runs = reinterpret_cast<float4*>(workspace.data + kPartialBytes - runs);
  const int64_t partial_rows = max_partial_rows(width, runs);
  work.partials = reinterpret_cast<float4*>(workspace.data);
  work.partial_sums = reinterpret_cast<float2*>(workspace.data + partial_rows * width * 4);
  work.has_short_ring = fits[kDecodeKernel].is_lean;
  if (has_prefill(batch)) launch_prefill(stream, work, width, is_bf16(), prefill);
  launch_decode(stream, work, width, is_bf16(), fits[kDecodeKernel]);
}

}  // namespace trireme::cuda
