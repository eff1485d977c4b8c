// This rank's part of the forward pass: the layers of its stage, its heads and MLP columns of each,
// its rows of the vocabulary. One forward with flags serves every model family. Re-entrant per
// Lane; knows neither requests nor scheduling. Row-split matmuls end in an all_reduce over the
// stage.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/status.h"
#include "kernels/backend.h"
#include "model/model_config.h"
#include "model/shard_spec.h"
#include "worker/control/progress.h"
#include "worker/forward/lane.h"
#include "worker/forward/model_weights.h"

namespace trireme {

// Observes hidden states during the forward pass, for probes. Layer 0 is the output of the
// embedding, layer l the output of layer l. The last layer's state, after the final norm, is not
// offered here: the caller takes it.
class LayerTap {
 public:
  virtual ~LayerTap() = default;
  virtual bool wants(int64_t layer) const = 0;
  virtual void take(int64_t layer, Tensor hidden) = 0;  // [tokens, hidden] residual type
};

// A matmul of a step and how it is computed, for people.
struct MatmulUse {
  std::string name;  // qkv, output, gate_up, down, head
  int64_t rows = 0;
  int64_t n = 0;
  int64_t k = 0;
  std::string algorithm;  // Backend::describe_linear()
};

class ShardModel {
 public:
  // `max_positions`: length of the rotation tables.
  static StatusOr<ShardModel> make(const ModelConfig& config,
                                   const ShardSpec& shard,
                                   Backend& backend,
                                   ModelWeights weights,
                                   int64_t max_positions);

  // First stage: residual [tokens, hidden] = the tokens' embeddings.
  void embed(Lane& lane, const BatchView& batch, Tensor residual, Progress& progress) const;
  // The stage's layers over the residual, in place.
  void run_layers(Lane& lane,
                  const BatchView& batch,
                  const KvPages& pages,
                  Tensor residual,
                  LayerTap& tap,
                  Progress& progress) const;
  // Last stage: rows of the residual after the final norm, out [rows, hidden] of any float type.
  // `rows` is device memory; out has as many rows.
  void final_norm(Lane& lane, Tensor residual, const int32_t* rows, Tensor out) const;
  // Last stage: this rank's columns of the logits of those rows, fp32 [rows, local vocabulary].
  void head(
      Lane& lane, Tensor residual, const int32_t* rows, Tensor logits, Progress& progress) const;

  // Measures the algorithms of each of a layer's matmuls, for steps of up to `max_batched_tokens`
  // rows, and keeps the fastest in the backend.
  void tune(Lane& lane, int64_t max_batched_tokens, Progress& progress) const;

  // The matmuls of a layer in a step of `num_tokens` rows and, on the last stage, of the head with
  // `num_head_rows` rows of logits.
  std::vector<MatmulUse> matmuls(const Lane& lane, int64_t num_tokens, int64_t num_head_rows) const;

  // Layers with equal attention windows form a class, which shares one attention plan.
  size_t num_attention_classes() const { return class_layer_.size(); }
  const ShardSpec& shard() const { return *shard_; }
  const ModelConfig& config() const { return *config_; }

 private:
  ShardModel(const ModelConfig& config,
             const ShardSpec& shard,
             Backend& backend,
             ModelWeights weights);
  void add_to_residual(
      Lane& lane, Tensor x, const Weight& weight, const NormedSum& sum, Progress& progress) const;
  // A matmul that every layer has.
  struct LayerMatmul {
    const char* name;
    std::unique_ptr<Weight> LayerWeights::*weight;
    Tensor x;
    Epilogue epilogue;
    Tensor out;
    LinearCall::Next next;
  };
  std::vector<LayerMatmul> layer_matmuls(const Lane& lane) const;
  Norm norm(Vector weight) const;
  QkvSpec qkv_spec(int64_t layer) const;
  AttentionSpec attention_spec(int64_t layer) const;

  const ModelConfig* config_;
  const ShardSpec* shard_;
  Backend* backend_;
  ModelWeights weights_;
  HeadShape heads_;
  std::vector<size_t> attention_class_;  // by local layer
  std::vector<int64_t> class_layer_;     // by class: its first layer
  std::vector<Buffer> rope_tables_;      // by ModelConfig::ropes
  std::vector<Rope> ropes_;
};

}  // namespace trireme
