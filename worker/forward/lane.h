// The resources of one forward pass: the backend's lane, scratch memory, activations and the tensor
// group's Comm. ShardModel is re-entrant per lane; a rank has one lane.
#pragma once

#include <vector>

#include "base/status.h"
#include "kernels/backend.h"
#include "model/shard_spec.h"
#include "worker/comm/comm.h"

namespace trireme {

struct LaneLimits {
  int64_t max_batched_tokens = 0;
  int64_t max_segments = 0;
  int64_t max_head_rows = 0;
  size_t num_attention_plans = 1;
};

struct Lane {
  // Allocates buffers for steps of at most these sizes.
  static StatusOr<Lane> make(Backend& backend,
                             const ModelConfig& config,
                             const ShardSpec& shard,
                             Comm& tensor_comm,
                             const LaneLimits& limits);

  Queue* queue = nullptr;
  Workspace workspace;
  Comm* comm = nullptr;

  // Views of whole buffers; a step uses their first rows.
  Tensor normed;       // [tokens, hidden] input of qkv and gate_up
  Tensor qkv;          // [tokens, (heads + 2 kv_heads) head_dim]
  Tensor query;        // [tokens, heads head_dim] after RoPE
  Tensor context;      // [tokens, heads head_dim] output of attention
  Tensor gated;        // [tokens, MLP columns]
  Tensor delta;        // [tokens, hidden] product of a row-split matmul, added to the residual
  Tensor head_rows;    // [head rows, hidden] residual rows whose logits are requested
  Tensor head_normed;  // [head rows, hidden] head_rows after the final norm

  std::vector<AttentionPlan> attention_plans;  // by attention class

  // Allocates a matrix whose rows have the backend's alignment.
  StatusOr<Tensor> add_matrix(Backend& backend, DType dtype, int64_t rows, int64_t columns);

  std::vector<Buffer> memory;  // of all the above
};

}  // namespace trireme
