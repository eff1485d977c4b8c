// What one forward runs in: a queue, scratch memory, the activations between ops and the tensor
// group's Comm. ShardModel is re-entrant per lane; a step has one lane now.
#pragma once

#include <memory>
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
  // Buffers for steps of at most these sizes.
  static StatusOr<Lane> make(Backend& backend,
                             const ModelConfig& config,
                             const ShardSpec& shard,
                             Comm& tensor_comm,
                             const LaneLimits& limits);

  std::unique_ptr<Queue> queue;
  Workspace workspace;
  Comm* comm = nullptr;

  // Views of the whole buffers; a step takes first_rows().
  Tensor normed;     // [tokens, hidden] what qkv and gate_up read
  Tensor qkv;        // [tokens, (heads + 2 kv_heads) head_dim]
  Tensor query;      // [tokens, heads head_dim] rotated
  Tensor context;    // [tokens, heads head_dim] attention's output
  Tensor gated;      // [tokens, MLP columns]
  Tensor delta;      // [tokens, hidden] what a row-split matmul adds to the residual
  Tensor head_rows;  // [head rows, hidden] residual rows that the head is asked for
  Tensor head_normed;

  std::vector<AttentionPlan> attention_plans;  // by class

  // A matrix of the lane's memory whose rows are aligned as the backend wants them.
  StatusOr<Tensor> add_matrix(Backend& backend, DType dtype, int64_t rows, int64_t columns);

  std::vector<Buffer> memory;  // of all the above
};

}  // namespace trireme
