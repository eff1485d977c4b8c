// The cut on paper: what every rank of a group will hold, from the config alone, before anything
// loads. The same arithmetic as the worker's: weights in the compute dtype, KV in pages,
// activations for the largest step. On "cuda" it counts a GPU's memory (base/cuda_memory.h), on
// "cpu" the host's. Knows no files and no machines.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/dtype.h"
#include "base/status.h"
#include "model/model_config.h"
#include "model/parallel_plan.h"

namespace trireme {

// Defaults of a cluster's limits. The flags are --max-num-seqs and --max-num-batched-tokens; behind
// the flag parser each limit has one name everywhere.
inline constexpr int32_t kDefaultMaxSlots = 256;
// Tokens of a step, by backend: prefill on a GPU needs thousands of rows to fill it.
constexpr int32_t default_max_batched_tokens(std::string_view backend) {
  return backend == "cuda" ? 8192 : 512;
}

struct PlanRequest {
  int tp = 1;
  int pp = 1;
  std::string backend = "cpu";
  DType dtype = DType::kBFloat16;
  int64_t max_model_len = 0;  // 0: the model's, or what fits
  int64_t max_slots = kDefaultMaxSlots;
  int64_t max_batched_tokens = default_max_batched_tokens("cpu");
  int64_t kv_memory_bytes = 0;    // a rank's; 0: what the sequences want, within the memory
  int64_t rank_memory_bytes = 0;  // what a rank may use in all; 0: not known
};

struct RankPlan {
  int rank = 0;
  int stage = 0;
  int tensor_index = 0;
  LayerRange layers;
  int64_t num_heads = 0;
  int64_t num_kv_heads = 0;
  int64_t weight_bytes = 0;
  int64_t replicated_bytes = 0;    // of them: held by every rank of the stage
  int64_t communicator_bytes = 0;  // cuda: peer memory
  int64_t activation_bytes = 0;    // all buffers of a step
  int64_t workspace_bytes = 0;     // scratch of the ops, where it is not among the activations
  int64_t process_bytes = 0;       // cpu: program, MPI and socket buffers
  int64_t module_bytes = 0;        // cuda: context, modules, graphs and libraries
  int64_t reserve_bytes = 0;       // cuda: left to the driver and NCCL
  int64_t page_bytes = 0;          // of KV, page_tokens tokens
  int64_t max_pages = 0;           // that fit this rank
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
  int64_t pages = 0;          // of the group: the fewest of its ranks
  int64_t max_model_len = 0;  // lowered to what fits
  int64_t wire_bytes = 0;     // that one rank sends for one token: sums and stage boundaries
  bool fits = true;
  int64_t short_bytes = 0;  // of the rank that lacks most, for one sequence

  int64_t kv_tokens() const { return pages * page_tokens; }
  int64_t weight_bytes() const;  // of all ranks
  int64_t most_fixed_bytes() const;
  // What the fullest rank needs for `tokens` tokens of KV.
  int64_t needed_bytes(int64_t tokens) const;
};

// TRI-PLAN-001: an impossible cut (names the values that work).
StatusOr<GroupPlan> plan_group(const ModelConfig& config, const PlanRequest& request);

// Every cut into at most `max_ranks` ranks, the best first: those that fit, then more KV tokens a
// byte of memory, then fewer bytes on the wire.
std::vector<GroupPlan> rank_cuts(const ModelConfig& config,
                                 const PlanRequest& request,
                                 int max_ranks);

}  // namespace trireme
