// Who holds what: rank <-> (stage, tensor index), and which layers each stage runs.
// rank = stage * tp + tensor index, so that a tensor group stays inside a host.
// Refuses an impossible cut in one sentence that names the cuts that work. Knows no tensors.
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
  // On the CPU tp is 1, 2, 4 or 8 and divides the heads, and either tp divides the KV heads or the
  // KV heads divide tp (then they are replicated). pp is at most the number of layers; stages are
  // as even as their weights allow, embedding and head weighed in. TRI-PLAN-001: lists the values
  // that work.
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
  // Every rank of the first stage has the whole embedding (CUDA), or its rows of it.
  bool replicates_embedding() const { return replicates_embedding_; }
  // The first rank of the last stage: the one that answers the coordinator.
  int answering_rank() const { return rank_of(pp_ - 1, 0); }

 private:
  ParallelPlan() = default;
  int tp_ = 1;
  int pp_ = 1;
  bool replicates_embedding_ = false;
  std::vector<LayerRange> layers_;
};

// Every tp that `backend` allows for this model, ascending.
std::vector<int> allowed_tensor_parallel(const ModelConfig& config, const std::string& backend);

}  // namespace trireme
