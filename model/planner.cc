#include "model/planner.h"

#include <algorithm>
#include <map>
#include <utility>

#include "base/cuda_memory.h"
#include "base/round_up.h"
#include "model/device_plan.h"
#include "model/shard_spec.h"
#include "model/tensor_table.h"

namespace trireme {

namespace {

constexpr int64_t kCpuPageTokens = 32;
constexpr int64_t kProcessBytes = int64_t{48} << 20;  // measured: an idle rank on Open MPI 4.1

int64_t bytes_of(const TensorEntry& entry, const TensorSlice& slice, const PlanRequest& request) {
  // Vectors (norms, biases) are kept in fp32.
  if (entry.is_vector || entry.rows == 1) return slice.rows.size() * slice.columns.size() * 4;
  const int64_t pad = request.backend == "cuda" ? kCudaColumnPad : 1;
  return slice.rows.size() * round_up(slice.columns.size(), pad) * size_of(request.dtype);
}

// On a GPU q, k and v are fused into one weight, and gate and up into another.
TensorRole weight_of(TensorRole role) {
  if (role == TensorRole::kKey || role == TensorRole::kValue) return TensorRole::kQuery;
  return role == TensorRole::kUp ? TensorRole::kGate : role;
}

// Bytes of the rows by which the CUDA backend pads its weights.
int64_t padding_bytes(const ModelConfig& config,
                      const TensorTable& table,
                      const ShardSpec& shard,
                      const PlanRequest& request) {
  std::map<std::pair<int64_t, TensorRole>, TensorSlice> weights;  // by layer and role
  for (const TensorEntry& entry : table.entries()) {
    if (!shard.holds(entry) || entry.is_vector || entry.rows == 1) continue;
    const TensorSlice slice = shard.slice(entry);
    TensorSlice& weight = weights[{entry.layer, weight_of(entry.role)}];
    weight.columns = slice.columns;
    weight.rows.end += slice.rows.size();
  }
  int64_t bytes = 0;
  for (const auto& [key, weight] : weights) {
    const bool has_part = key.second == TensorRole::kEmbedding && config.tied_embeddings &&
                          shard.has_head() && weight.rows.size() != shard.vocabulary().size();
    const int64_t spare = has_part ? kCudaRowPad : 0;  // a tied head reads beyond its rows
    const int64_t rows = round_up(weight.rows.size() + spare, kCudaRowPad) - weight.rows.size();
    bytes += rows * round_up(weight.columns.size(), kCudaColumnPad) * size_of(request.dtype);
  }
  return bytes;
}

void add_weights(const ModelConfig& config,
                 const ShardSpec& shard,
                 const PlanRequest& request,
                 RankPlan& rank) {
  const TensorTable table(config);
  for (const TensorEntry& entry : table.entries()) {
    if (!shard.holds(entry)) continue;
    const int64_t bytes = bytes_of(entry, shard.slice(entry), request);
    rank.weight_bytes += bytes;
    const bool is_whole = entry.role == TensorRole::kEmbedding && shard.has_embedding() &&
                          shard.embedding_rows().size() == config.vocabulary_size;
    if (entry.partition == TensorPartition::kReplicate || is_whole) rank.replicated_bytes += bytes;
  }
  if (request.backend == "cuda") rank.weight_bytes += padding_bytes(config, table, shard, request);
}

// The buffers of a step: inputs, the residual between stages, and the widest matmuls.
int64_t activation_bytes(const ModelConfig& config,
                         const ShardSpec& shard,
                         const PlanRequest& request) {
  const int64_t tokens = std::max(request.max_batched_tokens, request.max_slots);
  const int64_t unit = size_of(request.dtype);
  const int64_t query = shard.num_heads() * config.head_dim;
  const int64_t qkv = query + 2 * shard.num_kv_heads() * config.head_dim;
  const int64_t mlp = shard.mlp_columns().size();
  const int64_t residuals = request.pp > 1 ? request.pp + 2 : 2;
  int64_t bytes = tokens * config.hidden_size * (unit + 4 + 4 * residuals);
  bytes += tokens * (4 * (qkv + query) + unit * (query + mlp));
  bytes += tokens * 4 * std::max(2 * mlp, config.hidden_size);
  if (shard.has_head()) {
    bytes += request.max_slots * (4 * shard.vocabulary().size() + (4 + unit) * config.hidden_size);
  }
  return bytes;
}

void add_work(const ModelConfig& config,
              const ShardSpec& shard,
              const PlanRequest& request,
              RankPlan& rank) {
  if (request.backend == "cuda") {
    return plan_device(config, shard, request, rank);
  }
  rank.activation_bytes = activation_bytes(config, shard, request);
  rank.process_bytes = kProcessBytes;
}

void count_pages(const ModelConfig& config, const PlanRequest& request, GroupPlan& plan) {
  const int64_t model_len =
      request.max_model_len > 0 ? request.max_model_len : config.max_positions;
  const int64_t pages_per_sequence = (model_len + plan.page_tokens - 1) / plan.page_tokens;
  const int64_t min_pages = request.max_model_len > 0 ? pages_per_sequence : 1;
  const int64_t wanted_pages = pages_per_sequence * request.max_slots;
  plan.pages = wanted_pages;
  for (RankPlan& rank : plan.ranks) {
    rank.max_pages = wanted_pages;
    int64_t free_bytes = -1;
    if (request.rank_memory_bytes > 0) {
      free_bytes = std::max<int64_t>(0, request.rank_memory_bytes - rank.fixed_bytes());
    }
    if (request.kv_memory_bytes > 0) {
      rank.max_pages = request.kv_memory_bytes / rank.page_bytes;
      if (free_bytes >= 0 && free_bytes < request.kv_memory_bytes) plan.fits = false;
    } else if (free_bytes >= 0) {
      rank.max_pages = std::min(wanted_pages, free_bytes / rank.page_bytes);
    }
    plan.pages = std::min(plan.pages, rank.max_pages);
    if (rank.max_pages < min_pages) plan.fits = false;
    if (free_bytes < 0) continue;
    const int64_t needs = std::max(request.kv_memory_bytes, min_pages * rank.page_bytes);
    plan.short_bytes =
        std::max(plan.short_bytes, rank.fixed_bytes() + needs - request.rank_memory_bytes);
  }
  plan.max_model_len = std::min(model_len, plan.kv_tokens());
}

// Two all-reduces per layer by recursive doubling, and the residual to the next stage. On the CPU
// in fp32, with one more all-reduce for the embedding; on GPUs in the compute dtype.
int64_t wire_bytes_per_token(const ModelConfig& config,
                             const PlanRequest& request,
                             const GroupPlan& plan) {
  int64_t rounds = 0;
  for (int size = 1; size < plan.tp; size *= 2) ++rounds;
  int64_t layers = 0;
  for (const RankPlan& rank : plan.ranks) layers = std::max(layers, rank.layers.size());
  const int64_t unit = request.backend == "cuda" ? size_of(request.dtype) : 4;
  const int64_t row = unit * config.hidden_size;
  const int64_t sums = 2 * layers + (request.backend == "cuda" ? 0 : 1);
  return row * (rounds * sums + (plan.pp > 1 ? 1 : 0));
}

}  // namespace

int64_t GroupPlan::weight_bytes() const {
  int64_t bytes = 0;
  for (const RankPlan& rank : ranks) bytes += rank.weight_bytes;
  return bytes;
}

int64_t GroupPlan::max_fixed_bytes() const {
  int64_t bytes = 0;
  for (const RankPlan& rank : ranks) bytes = std::max(bytes, rank.fixed_bytes());
  return bytes;
}

int64_t GroupPlan::needed_bytes(int64_t tokens) const {
  const int64_t pages_needed = (tokens + page_tokens - 1) / page_tokens;
  int64_t bytes = 0;
  for (const RankPlan& rank : ranks) {
    bytes = std::max(bytes, rank.fixed_bytes() + pages_needed * rank.page_bytes);
  }
  return bytes;
}

StatusOr<GroupPlan> plan_group(const ModelConfig& config, const PlanRequest& request) {
  ASSIGN_OR_RETURN(const ParallelPlan partition,
                   ParallelPlan::make(config, request.tp, request.pp, request.backend));
  GroupPlan plan;
  const bool on_gpu = request.backend == "cuda";
  const int64_t stored_dim =
      on_gpu ? cuda_stored_dim(static_cast<int32_t>(config.head_dim)) : config.head_dim;
  if (stored_dim == 0) {
    return invalid("TRI-CUDA-003",
                   "heads of {} dimensions have no attention kernel for CUDA, at most 256 have; "
                   "use --backend cpu",
                   config.head_dim);
  }
  plan.backend = request.backend;
  plan.tp = request.tp;
  plan.pp = request.pp;
  plan.page_tokens = on_gpu ? kCudaPageTokens : kCpuPageTokens;
  for (int index = 0; index < partition.num_ranks(); ++index) {
    const ShardSpec shard(config, partition, index);
    RankPlan rank;
    rank.rank = index;
    rank.stage = partition.stage_of(index);
    rank.tensor_index = partition.tensor_index_of(index);
    rank.layers = shard.layers();
    rank.num_heads = shard.num_heads();
    rank.num_kv_heads = shard.num_kv_heads();
    add_weights(config, shard, request, rank);
    add_work(config, shard, request, rank);
    rank.page_bytes = int64_t{2} * plan.page_tokens * stored_dim * size_of(request.dtype) *
                      rank.num_kv_heads * rank.layers.size();
    plan.ranks.push_back(rank);
  }
  count_pages(config, request, plan);
  plan.wire_bytes = wire_bytes_per_token(config, request, plan);
  return plan;
}

std::vector<GroupPlan> rank_partitions(const ModelConfig& config,
                                       const PlanRequest& request,
                                       int max_ranks) {
  std::vector<GroupPlan> plans;
  for (const int tp : allowed_tensor_parallel(config, request.backend)) {
    for (int pp = 1; tp * pp <= max_ranks && pp <= config.num_layers; ++pp) {
      PlanRequest candidate = request;
      candidate.tp = tp;
      candidate.pp = pp;
      auto plan = plan_group(config, candidate);
      if (plan.ok()) plans.push_back(std::move(*plan));
    }
  }
  const auto tokens_per_rank = [](const GroupPlan& plan) {
    return static_cast<double>(plan.kv_tokens()) / static_cast<double>(plan.ranks.size());
  };
  std::ranges::stable_sort(plans, [&](const GroupPlan& a, const GroupPlan& b) {
    if (a.fits != b.fits) return a.fits;
    if (!a.fits) return a.short_bytes < b.short_bytes;
    if (tokens_per_rank(a) != tokens_per_rank(b)) return tokens_per_rank(a) > tokens_per_rank(b);
    return a.wire_bytes < b.wire_bytes;
  });
  return plans;
}

}  // namespace trireme
