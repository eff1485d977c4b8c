#include "worker/forward/lane.h"

#include <algorithm>
#include <utility>

namespace trireme {

StatusOr<Tensor> Lane::add_matrix(Backend& backend, DType dtype, int64_t rows, int64_t columns) {
  const int64_t stride = aligned(columns, backend.types().row_alignment);
  ASSIGN_OR_RETURN(Buffer buffer, backend.allocate(rows * stride * size_of(dtype), "activations"));
  Tensor view(buffer.data(), dtype, rows, columns);
  view.row_stride = stride;
  memory.push_back(std::move(buffer));
  return view;
}

StatusOr<Lane> Lane::make(Backend& backend,
                          const ModelConfig& config,
                          const ShardSpec& shard,
                          Comm& tensor_comm,
                          const LaneLimits& limits) {
  const int64_t max_batched_tokens = limits.max_batched_tokens;
  const int64_t max_head_rows = limits.max_head_rows;
  Lane lane;
  lane.queue = &backend.lane();
  lane.comm = &tensor_comm;
  const ActivationTypes types = backend.types();
  const int64_t query_width = shard.num_heads() * config.head_dim;
  const int64_t qkv_width = (shard.num_heads() + 2 * shard.num_kv_heads()) * config.head_dim;
  const int64_t mlp_width = shard.mlp_columns().size();

  const struct {
    Tensor& view;
    DType dtype;
    int64_t rows;
    int64_t columns;
  } wanted[] = {
      {lane.normed, types.input, max_batched_tokens, config.hidden_size},
      {lane.qkv, types.wide, max_batched_tokens, qkv_width},
      {lane.query, types.wide, max_batched_tokens, query_width},
      {lane.context, types.input, max_batched_tokens, query_width},
      {lane.gated, types.input, max_batched_tokens, mlp_width},
      {lane.delta, types.residual, max_batched_tokens, config.hidden_size},
      {lane.head_rows, types.residual, max_head_rows, config.hidden_size},
      {lane.head_normed, types.input, max_head_rows, config.hidden_size},
  };
  for (const auto& part : wanted) {
    ASSIGN_OR_RETURN(part.view, lane.add_matrix(backend, part.dtype, part.rows, part.columns));
  }
  const HeadShape shape = {static_cast<int32_t>(shard.num_heads()),
                           static_cast<int32_t>(shard.num_kv_heads()),
                           static_cast<int32_t>(config.head_dim)};
  const int64_t plan_bytes = backend.attention_plan_bytes(
      static_cast<int32_t>(max_batched_tokens), static_cast<int32_t>(limits.max_segments), shape);
  for (size_t i = 0; i < limits.num_attention_plans; ++i) {
    if (plan_bytes == 0) {
      lane.attention_plans.push_back({});
      continue;
    }
    ASSIGN_OR_RETURN(Buffer buffer, backend.allocate(plan_bytes, "attention plans"));
    lane.attention_plans.push_back({buffer.data()});
    lane.memory.push_back(std::move(buffer));
  }

  OpLimits ops;
  ops.rows = std::max(max_batched_tokens, max_head_rows);
  ops.k = std::max({config.hidden_size, query_width, mlp_width});
  ops.n = std::max({qkv_width, 2 * mlp_width, config.hidden_size, config.vocabulary_size});
  ops.epilogue_n = std::max(config.qkv_bias ? 2 * qkv_width : 0, 2 * mlp_width);
  const int64_t scratch = backend.workspace_bytes(ops);
  ASSIGN_OR_RETURN(Buffer buffer, backend.allocate(std::max<int64_t>(scratch, 64), "workspace"));
  lane.workspace = {buffer.data(), buffer.bytes()};
  lane.memory.push_back(std::move(buffer));
  return lane;
}

}  // namespace trireme
