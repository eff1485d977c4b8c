#include "model/tensor_table.h"

#include <algorithm>

#include "base/text.h"

namespace trireme {

namespace {

struct LayerRow {
  TensorRole role;
  const char* name;  // after "layers.N."
  int64_t rows;
  int64_t columns;  // 0: a vector of `rows` values
  TensorPartition partition;
  bool present;
};

TensorEntry make_entry(TensorRole role,
                       int64_t layer,
                       const std::string& name,
                       int64_t rows,
                       int64_t columns,
                       TensorPartition partition) {
  TensorEntry entry;
  entry.role = role;
  entry.layer = layer;
  entry.names = {name};
  entry.rows = rows;
  entry.columns = columns == 0 ? 1 : columns;
  entry.is_vector = columns == 0;
  entry.partition = partition;
  return entry;
}

}  // namespace

TensorTable::TensorTable(const ModelConfig& config) : names_(config.names) {
  using enum TensorRole;
  using enum TensorPartition;
  const int64_t hidden = config.hidden_size;
  const int64_t q = config.num_heads * config.head_dim;
  const int64_t kv = config.num_kv_heads * config.head_dim;
  const int64_t mlp = config.intermediate_size;
  const int64_t vocabulary = config.vocabulary_size;

  const LayerRow rows[] = {
      {kAttentionNorm, "input_layernorm.weight", hidden, 0, kReplicate, true},
      {kQuery, "self_attn.q_proj.weight", q, hidden, kHeadRows, true},
      {kKey, "self_attn.k_proj.weight", kv, hidden, kKvHeadRows, true},
      {kValue, "self_attn.v_proj.weight", kv, hidden, kKvHeadRows, true},
      {kQueryBias, "self_attn.q_proj.bias", q, 0, kHeadRows, config.qkv_bias},
      {kKeyBias, "self_attn.k_proj.bias", kv, 0, kKvHeadRows, config.qkv_bias},
      {kValueBias, "self_attn.v_proj.bias", kv, 0, kKvHeadRows, config.qkv_bias},
      {kQueryNorm, "self_attn.q_norm.weight", config.head_dim, 0, kReplicate, config.qk_norm},
      {kKeyNorm, "self_attn.k_norm.weight", config.head_dim, 0, kReplicate, config.qk_norm},
      {kAttentionOutput, "self_attn.o_proj.weight", hidden, q, kHeadColumns, true},
      {kAttentionOutputBias, "self_attn.o_proj.bias", hidden, 0, kReplicate, config.output_bias},
      {kMlpNorm, "post_attention_layernorm.weight", hidden, 0, kReplicate, true},
      {kGate, "mlp.gate_proj.weight", mlp, hidden, kMlpRows, true},
      {kUp, "mlp.up_proj.weight", mlp, hidden, kMlpRows, true},
      {kGateBias, "mlp.gate_proj.bias", mlp, 0, kMlpRows, config.mlp_bias},
      {kUpBias, "mlp.up_proj.bias", mlp, 0, kMlpRows, config.mlp_bias},
      {kDown, "mlp.down_proj.weight", hidden, mlp, kMlpColumns, true},
      {kDownBias, "mlp.down_proj.bias", hidden, 0, kReplicate, config.mlp_bias},
  };

  entries_.push_back(
      make_entry(kEmbedding, -1, names_.embedding, vocabulary, hidden, kVocabularyRows));
  for (int64_t layer = 0; layer < config.num_layers; ++layer) {
    const std::string prefix = format_text("{}layers.{}.", names_.decoder_prefix, layer);
    for (const LayerRow& row : rows) {
      if (!row.present) continue;
      entries_.push_back(
          make_entry(row.role, layer, prefix + row.name, row.rows, row.columns, row.partition));
    }
  }
  entries_.push_back(
      make_entry(kFinalNorm, -1, names_.decoder_prefix + "norm.weight", hidden, 0, kReplicate));
  if (!config.tied_embeddings) {
    entries_.push_back(make_entry(kHead, -1, names_.head, vocabulary, hidden, kVocabularyRows));
  }
  layer_entries_ = 0;
  for (const LayerRow& row : rows) layer_entries_ += row.present;
}

const TensorEntry* TensorTable::find(TensorRole role, int64_t layer) const {
  size_t begin = 0;
  size_t end = entries_.size();
  if (layer >= 0) {  // the entries are ordered: embedding, layers, final norm and head
    begin = 1 + layer * layer_entries_;
    end = std::min(end, begin + layer_entries_);
  }
  for (size_t i = begin; i < end; ++i) {
    if (entries_[i].role == role && entries_[i].layer == layer) return &entries_[i];
  }
  return nullptr;
}

}  // namespace trireme
