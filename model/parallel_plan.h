// The mapping rank <-> (stage, tensor index) and the layers of each stage. Const after creation,
// any thread. rank = stage * tp + tensor index, so that the ranks of one stage are neighbours and
// share a host. An impossible partition is refused with a list of those that work. Knows no
// tensors.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/status.h"
#include "model/model_config.h"

namespace trireme {

struct LayerRange {
  int64_t begin = 0;
  int64_t end = 0;
  int64_t size() const { return end - begin; }
};

class ParallelPlan {
 public:
  // tp divides the query heads, and either tp divides the KV heads or the KV heads divide tp (they
  // are then replicated); on the CPU tp is 1, 2, 4 or 8. pp is at most the number of layers. Layers
  // are assigned to stages by weight, including embedding and head. TRI-PLAN-001, TRI-PLAN-002: an
  // impossible tp or pp (lists the values that work).
  static StatusOr<ParallelPlan> make(const ModelConfig& config,
                                     int tp,
                                     int pp,
                                     const std::string& backend = "cpu");

  int tp() const { return tp_; }
  int pp() const { return pp_; }
  int num_ranks() const { return tp_ * pp_; }
  int rank_of(int stage, int tensor_index) const { return stage * tp_ + tensor_index; }
  int stage_of(int rank) const { return rank / tp_; }
  int tensor_index_of(int rank) const { return rank % tp_; }
  bool is_first_stage(int stage) const { return stage == 0; }
  bool is_last_stage(int stage) const { return stage == pp_ - 1; }
  LayerRange layers(int stage) const { return layers_[stage]; }
  // True: every rank of the first stage holds the whole embedding (CUDA). False: its rows of it.
  bool replicates_embedding() const { return replicates_embedding_; }
  // The first rank of the last stage, which sends the results to the coordinator.
  int answering_rank() const { return rank_of(pp_ - 1, 0); }

 private:
  ParallelPlan() = default;
  int tp_ = 1;
  int pp_ = 1;
  bool replicates_embedding_ = false;
  std::vector<LayerRange> layers_;
};

// All values of tp that work for this model on `backend`, ascending.
std::vector<int> allowed_tensor_parallel(const ModelConfig& config, const std::string& backend);

}  // namespace trireme
