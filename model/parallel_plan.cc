#include "model/parallel_plan.h"

#include <algorithm>

#include "base/text.h"

namespace trireme {

namespace {

constexpr int kCpuTensorParallel[] = {
    1, 2, 4, 8};  // divisors of the eight leaves (docs/numerics.md)
constexpr int kMaxGpuTensorParallel = 64;

bool heads_divide(const ModelConfig& config, int64_t tp) {
  return config.num_heads % tp == 0 &&
         (config.num_kv_heads % tp == 0 || tp % config.num_kv_heads == 0);
}

// Weights by which stages are balanced: elements of one layer, and what the first and the last
// stage hold besides. The head is multiplied for every sampled row and counts fully. The embedding
// is a look-up, which costs memory but no time, and counts half.
struct StageWeights {
  double layer;
  double first;
  double last;
};

StageWeights weigh(const ModelConfig& config) {
  const double hidden = config.hidden_size;
  const double heads = (2.0 * config.num_heads + 2.0 * config.num_kv_heads) * config.head_dim;
  const double matrix = hidden * config.vocabulary_size;
  return {hidden * (heads + 3.0 * config.intermediate_size), matrix / 2, matrix};
}

// The number of layers per stage that minimises the weight of the heaviest stage. Greedy: each
// layer goes to the stage that is lightest with it, which is optimal for layers of equal weight.
std::vector<int64_t> stage_sizes(const StageWeights& weights, int64_t num_layers, int pp) {
  const auto load = [&](int stage, int64_t layers) {
    return layers * weights.layer + (stage == 0 ? weights.first : 0) +
           (stage == pp - 1 ? weights.last : 0);
  };
  std::vector<int64_t> sizes(pp, 1);
  for (int64_t placed = pp; placed < num_layers; ++placed) {
    int best = 0;
    for (int stage = 1; stage < pp; ++stage) {
      if (load(stage, sizes[stage] + 1) < load(best, sizes[best] + 1)) best = stage;
    }
    ++sizes[best];
  }
  return sizes;
}

}  // namespace

std::vector<int> allowed_tensor_parallel(const ModelConfig& config, const std::string& backend) {
  std::vector<int> allowed;
  if (backend == "cpu") {
    for (const int tp : kCpuTensorParallel) {
      if (heads_divide(config, tp)) allowed.push_back(tp);
    }
    return allowed;
  }
  for (int tp = 1; tp <= kMaxGpuTensorParallel; ++tp) {
    if (heads_divide(config, tp)) allowed.push_back(tp);
  }
  return allowed;
}

StatusOr<ParallelPlan> ParallelPlan::make(const ModelConfig& config,
                                          int tp,
                                          int pp,
                                          const std::string& backend) {
  const std::vector<int> allowed = allowed_tensor_parallel(config, backend);
  if (std::find(allowed.begin(), allowed.end(), tp) == allowed.end()) {
    return invalid("TRI-PLAN-001",
                   "this model ({} heads, {} KV heads) cannot be partitioned by -tp {} on the {} "
                   "backend; use -tp {}",
                   config.num_heads,
                   config.num_kv_heads,
                   tp,
                   backend,
                   join_choices(allowed));
  }
  if (pp < 1 || pp > config.num_layers) {
    return invalid(
        "TRI-PLAN-002",
        "this model has {} layers and cannot be divided into -pp {} stages; use -pp 1 to {}",
        config.num_layers,
        pp,
        config.num_layers);
  }
  ParallelPlan plan;
  plan.tp_ = tp;
  plan.pp_ = pp;
  plan.replicates_embedding_ = backend == "cuda";
  int64_t begin = 0;
  for (const int64_t size : stage_sizes(weigh(config), config.num_layers, pp)) {
    plan.layers_.push_back({begin, begin + size});
    begin += size;
  }
  return plan;
}

}  // namespace trireme
