// Every tensor of a model: our role for it, its names in checkpoints, its global shape and how it
// is cut. The one place that knows checkpoint names. Knows no values.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "model/model_config.h"

namespace trireme {

enum class TensorRole : uint8_t {
  kEmbedding,
  kAttentionNorm,
  kQuery,
  kKey,
  kValue,
  kQueryBias,
  kKeyBias,
  kValueBias,
  kQueryNorm,
  kKeyNorm,
  kAttentionOutput,
  kAttentionOutputBias,
  kMlpNorm,
  kGate,
  kUp,
  kDown,
  kGateBias,
  kUpBias,
  kDownBias,
  kFinalNorm,
  kHead,
};

enum class TensorCut : uint8_t {
  kReplicate,
  kVocabularyRows,
  kHeadRows,    // rows by query head
  kKvHeadRows,  // rows by KV head, replicated where tp exceeds them
  kMlpRows,
  kHeadColumns,  // K by query head: row-split, in leaves
  kMlpColumns,   // K by MLP column: row-split, in leaves
};

struct TensorEntry {
  TensorRole role;
  int64_t layer = -1;              // -1: belongs to no layer
  std::vector<std::string> names;  // in checkpoints, the usual one first
  int64_t rows = 1;                // a vector is one row of `columns`... see is_vector
  int64_t columns = 0;
  bool is_vector = false;  // stored with one dimension [columns] (biases: cut as rows)
  TensorCut cut = TensorCut::kReplicate;
};

class TensorTable {
 public:
  explicit TensorTable(const ModelConfig& config);

  std::span<const TensorEntry> entries() const { return entries_; }
  // The entry, or nullptr where the model has none (a bias it lacks, the head of a tied model).
  const TensorEntry* find(TensorRole role, int64_t layer = -1) const;

 private:
  std::vector<TensorEntry> entries_;
  int64_t layer_entries_ = 0;  // of each layer
};

}  // namespace trireme
