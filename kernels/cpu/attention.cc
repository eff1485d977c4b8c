#include <cmath>

#include "base/check.h"
#include "kernels/cpu/backend.h"

namespace trireme {

void CpuBackend::attention(Queue&,
                           Workspace& workspace,
                           const BatchView& batch,
                           Tensor q,
                           const AttentionSpec& spec,
                           const KvPages& pages,
                           int32_t layer,
                           Tensor out) {
  const HeadShape& shape = spec.shape;
  const int64_t group = shape.num_heads / shape.num_kv_heads;
  const int64_t dim = shape.head_dim;
  CHECK(q.dtype == DType::kFloat32 && q.columns == shape.num_heads * dim);
  CHECK(out.columns == q.columns && shape.num_heads % shape.num_kv_heads == 0);
  CHECK(group <= kMaxHeadGroup);
  const int64_t scratch_floats = (group * ((dim + 15) / 16 * 16) + 64 + 15) / 16 * 16;
  CHECK(workspace.bytes >= pool_.size() * scratch_floats * 4);

  const auto run_row = [&](int64_t token, int64_t head, int member) {
    AttentionTask task;
    task.q = q.row<float>(token) + head * group * dim;
    task.q_stride = q.row_stride;
    task.num_rows = 1;
    task.positions = batch.positions + token;
    task.page_row =
        batch.page_table + static_cast<int64_t>(batch.slots[token]) * batch.page_table_stride;
    task.kv = reinterpret_cast<const uint8_t*>(pages.block(0, layer, head));
    task.page_stride = pages.page_stride;
    task.v_offset = pages.head_stride / 2;
    task.num_heads = static_cast<int>(group);
    task.head_dim = static_cast<int>(dim);
    task.scale = spec.scale;
    task.window = spec.window;
    task.soft_cap = spec.soft_cap;
    task.out_is_bf16 = out.dtype == DType::kBFloat16;
    task.out = out.data + (token * out.row_stride + head * group * dim) * size_of(out.dtype);
    task.out_stride = out.row_stride;
    task.scratch = reinterpret_cast<float*>(workspace.data) + member * scratch_floats;
    (is_bf16() ? tier_.attention_bf16 : tier_.attention_f32)(task);
  };
  const int64_t units = batch.num_tokens * shape.num_kv_heads;
  const auto share = [&](int member, int num_members) {
    for (int64_t unit = member; unit < units; unit += num_members) {
      run_row(unit / shape.num_kv_heads, unit % shape.num_kv_heads, member);
    }
  };
  int64_t cost = 0;
  for (int32_t token = 0; token < batch.num_tokens && cost < 8 * kParallelCost; ++token) {
    cost += (batch.positions[token] + 1) * shape.num_heads * dim;
  }
  if (cost < 8 * kParallelCost || units < 2) return share(0, 1);
  pool_.run(share);
}

}  // namespace trireme
