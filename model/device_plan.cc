#include "model/device_plan.h"

#include <algorithm>
#include <set>

#include "base/cuda_memory.h"
#include "base/round_up.h"
#include "base/step_memory.h"
#include "model/sampling_params.h"

namespace trireme {
namespace {

// The sizes from which all buffers of a step follow.
struct StepShape {
  StepShape(const ModelConfig& config, const ShardSpec& shard, const PlanRequest& request)
      : tokens(std::max(request.max_batched_tokens, request.max_slots)),
        slots(request.max_slots),
        length(request.max_model_len > 0 ? request.max_model_len : config.max_positions),
        pages_per_slot((length + kCudaPageTokens - 1) / kCudaPageTokens),
        element(size_of(request.dtype)),
        hidden_bytes(round_up(config.hidden_size, kCudaRowAlignment) * element),
        tp(request.tp),
        pp(request.pp),
        draws(shard.has_head()) {}

  const int64_t tokens;
  const int64_t slots;
  const int64_t length;
  const int64_t pages_per_slot;
  const int64_t element;
  const int64_t hidden_bytes;  // per row
  const int64_t tp;
  const int32_t pp;
  const bool draws;
};

// Matrices of one lane, and residuals: those in flight between stages, and one of the captured
// steps.
int64_t matrix_bytes(const ModelConfig& config, const ShardSpec& shard, const StepShape& step) {
  const int64_t query = shard.num_heads() * config.head_dim;
  const int64_t qkv = query + 2 * shard.num_kv_heads() * config.head_dim;
  int64_t row = 2 * step.hidden_bytes;  // normed and delta
  for (const int64_t width : {qkv, query, query, shard.mlp_columns().size()}) {
    row += round_up(width, kCudaRowAlignment) * step.element;
  }
  const int64_t residuals = num_residual_buffers(step.pp) + 1;  // 1: of the captured steps
  return step.tokens * (row + residuals * step.hidden_bytes) +
         2 * head_rows(step.slots) * step.hidden_bytes;
}

// Records of the steps in flight, the page table, and one attention plan per class of layers (equal
// window).
int64_t record_bytes(const ModelConfig& config, const ShardSpec& shard, const StepShape& step) {
  const int64_t changes =
      max_table_changes(step.slots, step.tokens, kCudaPageTokens, step.pages_per_slot);
  const int64_t record = step_record_bytes(step.tokens, step.slots, changes);
  const int64_t entries = max_steps_in_flight(step.pp) + 1;  // 1: the copy that the ops read
  const int64_t table = 4 * step.slots * step.pages_per_slot;
  const std::set<int32_t> windows(config.layer_window.begin(), config.layer_window.end());
  const int64_t plan = cuda_attention_plan_bytes(step.tokens,
                                                 step.slots,
                                                 shard.num_heads(),
                                                 shard.num_kv_heads(),
                                                 cuda_stored_dim(config.head_dim));
  return entries * record + table + static_cast<int64_t>(windows.size()) * plan;
}

// State of the slots, ids in flight back to the first stage, logits and sampling buffers.
int64_t sampling_bytes(const ModelConfig& config, const ShardSpec& shard, const StepShape& step) {
  int64_t bytes = 4 * step.slots;
  if (step.pp > 1) {  // ids and slots of each list
    bytes += num_token_lists(step.pp) * 2 * 4 * round_up(step.slots, kTokenListAlignment);
  }
  if (!step.draws) return bytes;
  bytes += 4 * step.slots * (step.length + 1 + 2 * kMaxLogitBias + kMaxBannedIds);
  const int64_t pass = head_rows(step.slots);
  const int64_t whole = dealt_rows(pass, step.tp) + 2 * kWholeRows;
  bytes += 4 * (pass * shard.vocabulary().size() + whole * config.vocabulary_size);
  const int64_t rows = std::max(step.slots, pass);
  const int64_t passes = (rows + kWholeRows - 1) / kWholeRows;
  bytes += rows * (kShardDrawBytes * (1 + step.tp) + 4);
  return bytes + passes * (kWholeRows + step.tp) * (1 + kMaxLogprobs) * kTokenLogprobBytes;
}

int64_t rope_bytes(const ModelConfig& config, const StepShape& step) {
  return static_cast<int64_t>(config.ropes.size()) * step.length * config.head_dim * 4;
}

// Peer memory: all-reduces and exchanges within a stage, residuals from the previous stage, ids
// from the last one, each in an arena of whole units. Between hosts NCCL allocates its own buffers
// instead.
int64_t communicator_bytes(const StepShape& step, const RankPlan& rank) {
  const auto ring = [](int64_t depth, int64_t bytes) { return depth * round_up(bytes, 256); };
  const auto arena = [](int64_t bytes) {
    return round_up(kCudaPeerWordBytes + bytes, kCudaArenaUnitBytes);
  };
  int64_t bytes = 0;
  if (step.tp > 1) bytes += arena(2 * kCudaReduceBytes + step.tp * ring(2, kCudaExchangeBytes));
  if (step.pp == 1) return bytes;
  const int64_t residuals = ring(num_residual_buffers(step.pp), step.tokens * step.hidden_bytes);
  const int64_t tokens = ring(num_token_lists(step.pp), 4 * step.slots);
  return bytes + arena(rank.stage > 0 ? residuals : 0) + arena(rank.stage == 0 ? tokens : 0);
}

// Of the one lane: gate and up are staged, in fp32 q, k and v with a bias; not under --invariant.
int64_t workspace_bytes(const ModelConfig& config,
                        const ShardSpec& shard,
                        const PlanRequest& request,
                        const StepShape& step) {
  const int64_t qkv = (shard.num_heads() + 2 * shard.num_kv_heads()) * config.head_dim;
  const int64_t widest = std::max(config.qkv_bias ? 2 * qkv : 0, 2 * shard.mlp_columns().size());
  const int64_t rows = std::max<int64_t>(step.tokens, head_rows(step.slots));
  return cuda_workspace_bytes(rows, request.invariant ? 0 : widest);
}

}  // namespace

void plan_device(const ModelConfig& config,
                 const ShardSpec& shard,
                 const PlanRequest& request,
                 RankPlan& rank) {
  const StepShape step(config, shard, request);
  rank.communicator_bytes = communicator_bytes(step, rank);
  rank.activation_bytes = matrix_bytes(config, shard, step) + record_bytes(config, shard, step) +
                          sampling_bytes(config, shard, step) + rope_bytes(config, step);
  rank.workspace_bytes = workspace_bytes(config, shard, request, step);
  rank.module_bytes = kCudaModuleBytes;
  rank.reserve_bytes = kCudaReserveBytes;
}

}  // namespace trireme
