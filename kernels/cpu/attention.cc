#include <algorithm>

#include "base/check.h"
#include "kernels/cpu/backend.h"

namespace trireme {

namespace {

// Rows of one segment per task: as many as make 48 queries, so that a page is read once for all of
// them and their scratch stays near the L1 cache. Fewer rows for wide heads keep the scratch equal.
constexpr int64_t kTaskQueries = 48;
constexpr int64_t kWideHead = 512;

int64_t rows_together(int64_t group, int64_t head_dim) {
  const int64_t queries = kTaskQueries * kWideHead / std::max(head_dim, kWideHead);
  return std::max<int64_t>(1, queries / group);
}

}  // namespace

int64_t CpuBackend::attention_bytes(const HeadShape& shape) const {
  const int64_t group = shape.num_heads / shape.num_kv_heads;
  const int64_t rows = rows_together(group, shape.head_dim);
  const int64_t floats = attention_scratch_floats(rows * group, shape.head_dim);
  return (floats * 4 + 63) / 64 * 64;
}

// No plan is needed: each call distributes its own rows.
int64_t CpuBackend::attention_plan_bytes(int32_t, int32_t, const HeadShape&) const { return 0; }

void CpuBackend::plan_attention(
    Queue&, const BatchView&, const AttentionSpec&, const KvPages&, const AttentionPlan&) {}

void CpuBackend::attention(Queue&,
                           Workspace& workspace,
                           const BatchView& batch,
                           Tensor q,
                           const AttentionSpec& spec,
                           const AttentionPlan&,
                           const KvPages& pages,
                           int32_t layer,
                           Tensor out) {
  const HeadShape& shape = spec.shape;
  CHECK(q.dtype == DType::kFloat32 && q.columns == int64_t{shape.num_heads} * shape.head_dim);
  CHECK(out.columns == q.columns && shape.num_heads % shape.num_kv_heads == 0);
  const int32_t num_rows =  // without the padding at the end
      batch.num_segments == 0 ? 0 : batch.segment_starts[batch.num_segments];
  CHECK(num_rows <= batch.num_tokens);
  const int64_t group = shape.num_heads / shape.num_kv_heads;
  const int64_t dim = shape.head_dim;
  const int64_t scratch_bytes = attention_bytes(shape);
  CHECK(workspace.bytes >= pool_.size() * scratch_bytes);

  const auto run_rows = [&](int64_t first, int64_t end, int64_t head, int member) {
    const int64_t column = head * group * dim;
    AttentionTask task;
    task.q = q.row<float>(first) + column;
    task.q_stride = q.row_stride;
    task.num_rows = static_cast<int>(end - first);
    task.first_position = batch.positions[first];
    task.page_row = batch.page_table + int64_t{batch.slots[first]} * batch.page_table_stride;
    task.kv = reinterpret_cast<const uint8_t*>(pages.block(0, layer, head));
    task.page_stride = pages.page_stride;
    task.v_offset = pages.head_stride / 2;
    task.num_heads = static_cast<int>(group);
    task.head_dim = static_cast<int>(dim);
    task.scale = spec.scale;
    task.window = spec.window;
    task.soft_cap = spec.soft_cap;
    task.out_is_bf16 = out.dtype == DType::kBFloat16;
    task.out = out.data + (first * out.row_stride + column) * size_of(out.dtype);
    task.out_stride = out.row_stride;
    task.scratch = reinterpret_cast<float*>(workspace.data + member * scratch_bytes);
    (is_bf16() ? tier_.attention_bf16 : tier_.attention_f32)(task);
  };
  const int64_t step = rows_together(group, dim);
  const auto share = [&](int member, int num_members) {
    int64_t unit = 0;
    for (int32_t segment = 0; segment < batch.num_segments; ++segment) {
      const int64_t end = batch.segment_starts[segment + 1];
      for (int64_t row = batch.segment_starts[segment]; row < end; row += step) {
        for (int64_t head = 0; head < shape.num_kv_heads; ++head) {
          if (unit++ % num_members != member) continue;
          run_rows(row, std::min(end, row + step), head, member);
        }
      }
    }
  };
  int64_t cost = 0;
  for (int32_t token = 0; token < num_rows && cost < kAttentionParallelCost; ++token) {
    cost += (batch.positions[token] + 1) * shape.num_heads * dim;
  }
  if (cost < kAttentionParallelCost) return share(0, 1);
  pool_.run(share);
}

}  // namespace trireme
