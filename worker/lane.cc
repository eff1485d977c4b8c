#include "worker/lane.h"

#include <algorithm>
#include <utility>

namespace trireme {

StatusOr<Lane> Lane::make(Backend& backend,
                          const ModelConfig& config,
                          const ShardSpec& shard,
                          Comm& tensor_comm,
                          int64_t max_tokens,
                          int64_t max_head_rows) {
  Lane lane;
  lane.queue = backend.make_queue();
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
      {lane.normed, types.input, max_tokens, config.hidden_size},
      {lane.qkv, types.wide, max_tokens, qkv_width},
      {lane.query, types.wide, max_tokens, query_width},
      {lane.context, types.input, max_tokens, query_width},
      {lane.gated, types.input, max_tokens, mlp_width},
      {lane.delta, types.residual, max_tokens, config.hidden_size},
      {lane.head_rows, types.residual, max_head_rows, config.hidden_size},
      {lane.head_normed, types.input, max_head_rows, config.hidden_size},
  };
  for (const auto& part : wanted) {
    const int64_t bytes = part.rows * part.columns * size_of(part.dtype);
    ASSIGN_OR_RETURN(Buffer buffer, backend.allocate(bytes, "activations"));
    part.view = buffer.as(part.dtype, part.rows, part.columns);
    lane.memory.push_back(std::move(buffer));
  }

  const int64_t rows = std::max(max_tokens, max_head_rows);
  const int64_t max_k = std::max({config.hidden_size, query_width, mlp_width});
  const int64_t max_n =
      std::max({qkv_width, 2 * mlp_width, config.hidden_size, config.vocabulary_size});
  const int64_t scratch = backend.workspace_bytes(rows, max_k, max_n);
  ASSIGN_OR_RETURN(Buffer buffer, backend.allocate(std::max<int64_t>(scratch, 64), "workspace"));
  lane.workspace = {buffer.data(), buffer.bytes()};
  lane.memory.push_back(std::move(buffer));
  return lane;
}

}  // namespace trireme
