// The tensors of a model: role, names in checkpoints, global shape and partition of each. Names are
// those of the published families below ModelConfig::names. Knows no values. Const, any thread.
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

enum class TensorPartition : uint8_t {
  kReplicate,
  kVocabularyRows,
  kHeadRows,    // rows by query head
  kKvHeadRows,  // rows by KV head; replicated if tp exceeds the KV heads
  kMlpRows,
  kHeadColumns,  // K by query head: row-split, in leaves
  kMlpColumns,   // K by MLP column: row-split, in leaves
};

struct TensorEntry {
  TensorRole role;
  int64_t layer = -1;              // -1: belongs to no layer
  std::vector<std::string> names;  // in checkpoints, the most common first
  int64_t rows = 1;                // 1 for a vector
  int64_t columns = 0;
  bool is_vector = false;  // stored with one dimension, [columns]; a bias is partitioned by it
  TensorPartition partition = TensorPartition::kReplicate;
};

class TensorTable {
 public:
  explicit TensorTable(const ModelConfig& config);

  std::span<const TensorEntry> entries() const { return entries_; }
  const StoredNames& stored_names() const { return names_; }
  // The entry, or nullptr if the model has none (no bias, head of a tied model).
  const TensorEntry* find(TensorRole role, int64_t layer = -1) const;

 private:
  const StoredNames names_;
  std::vector<TensorEntry> entries_;
  int64_t layer_entries_ = 0;  // per layer
};

}  // namespace trireme
