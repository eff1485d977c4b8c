// Prediction of the memory of every rank of a group, from the config alone, before anything is
// loaded. Same arithmetic as the worker: weights in the compute dtype, KV in pages, activations for
// the largest step. Backend "cuda" counts GPU memory (base/cuda_memory.h), "cpu" host memory. Pure
// functions; knows no files and no machines.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/dtype.h"
#include "base/status.h"
#include "model/model_config.h"
#include "model/parallel_plan.h"

namespace trireme {

// Defaults of the limits of a cluster. The flags are --max-num-seqs and --max-num-batched-tokens;
// behind the flag parser each limit has one name everywhere.
inline constexpr int32_t kDefaultMaxSlots = 256;
// Tokens per step, by backend: prefill needs thousands of rows to occupy a GPU.
constexpr int32_t default_max_batched_tokens(std::string_view backend) {
  return backend == "cuda" ? 8192 : 512;
}

struct PlanRequest {
  int tp = 1;
  int pp = 1;
  std::string backend = "cpu";
  DType dtype = DType::kBFloat16;
  bool invariant = false;     // cuda: --invariant
  int64_t max_model_len = 0;  // 0: that of the model, or what fits
  int64_t max_slots = kDefaultMaxSlots;
  int64_t max_batched_tokens = default_max_batched_tokens("cpu");
  int64_t kv_memory_bytes = 0;    // per rank; 0: what max_slots sequences need, if free
  int64_t rank_memory_bytes = 0;  // limit of all memory of a rank; 0: not known
};

struct RankPlan {
  int rank = 0;
  int stage = 0;
  int tensor_index = 0;
  LayerRange layers;
  int64_t num_heads = 0;
  int64_t num_kv_heads = 0;
  int64_t weight_bytes = 0;
  int64_t replicated_bytes = 0;    // part of weight_bytes that every rank of the stage holds
  int64_t communicator_bytes = 0;  // cuda: peer memory
  int64_t activation_bytes = 0;    // all buffers of a step
  int64_t workspace_bytes = 0;     // scratch of the ops, unless counted as activations
  int64_t process_bytes = 0;       // cpu: program, MPI and socket buffers
  int64_t module_bytes = 0;        // cuda: context, modules, graphs and libraries
  int64_t reserve_bytes = 0;       // cuda: left to the driver and NCCL
  int64_t page_bytes = 0;          // KV of page_tokens tokens
  int64_t max_pages = 0;           // pages that fit this rank
  int64_t fixed_bytes() const {
    return weight_bytes + communicator_bytes + activation_bytes + workspace_bytes + process_bytes +
           module_bytes + reserve_bytes;
  }
};

struct GroupPlan {
  std::string backend;
  int tp = 1;
  int pp = 1;
  int64_t page_tokens = 0;
  std::vector<RankPlan> ranks;
  int64_t pages = 0;          // of the group: the minimum over its ranks
  int64_t max_model_len = 0;  // lowered to what fits
  int64_t wire_bytes = 0;     // sent by one rank per token: all-reduces and stage boundaries
  bool fits = true;
  int64_t short_bytes = 0;  // the largest shortage of a rank, for one sequence

  int64_t kv_tokens() const { return pages * page_tokens; }
  int64_t weight_bytes() const;  // of all ranks
  int64_t max_fixed_bytes() const;
  // Bytes that the fullest rank needs with `tokens` tokens of KV.
  int64_t needed_bytes(int64_t tokens) const;
};

// TRI-PLAN-001, TRI-PLAN-002: an impossible tp or pp (lists the values that work). TRI-CUDA-003: no
// attention kernel for this head_dim.
StatusOr<GroupPlan> plan_group(const ModelConfig& config, const PlanRequest& request);

// All partitions into at most `max_ranks` ranks, best first: those that fit, then more KV tokens
// per rank, then fewer bytes on the wire; among those that do not fit, the one that lacks least.
std::vector<GroupPlan> rank_partitions(const ModelConfig& config,
                                       const PlanRequest& request,
                                       int max_ranks);

}  // namespace trireme
