// The hyperparameters of a model. Read from a Hugging Face config.json
// (model/config/read_model_config.h), validated once, const afterwards, any thread. One forward
// serves every family: a family is a row of flags here and a set of names in the tensor table.
// Knows no devices and no ranks.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/dtype.h"
#include "model/token.h"

namespace trireme {

enum class RopeScaling : uint8_t { kNone, kLinear, kLlama3, kYarn };

// Rotary embedding of one kind of layer. Frequencies: model/rope.h.
struct RopeConfig {
  double theta = 10000;
  RopeScaling scaling = RopeScaling::kNone;
  double factor = 1;
  double low_freq_factor = 1;   // llama3
  double high_freq_factor = 4;  // llama3
  int64_t original_max_positions = 0;
  double beta_fast = 32;        // yarn
  double beta_slow = 1;         // yarn
  double attention_factor = 1;  // multiplies cos and sin; resolved from the keys of the config
  bool truncate = true;         // yarn: round the correction range

  bool operator==(const RopeConfig&) const = default;
};

enum class ConfigNorm : uint8_t { kRms, kLayer };
enum class ConfigActivation : uint8_t { kSilu };

// The names of the tensors in the checkpoint; resolve_stored_names() finds them.
struct StoredNames {
  std::string decoder_prefix = "model.";  // before "layers.0.", "norm."
  std::string embedding = "model.embed_tokens.weight";
  std::string head = "lm_head.weight";   // of a tied model: absent, or a copy of the embedding
  std::vector<std::string> head_copies;  // other tensors with the bytes of the head, not used

  bool operator==(const StoredNames&) const = default;
};

struct ModelConfig {
  std::string model_type;  // "llama", "mistral", "qwen2", "qwen3"

  int64_t vocabulary_size = 0;
  int64_t hidden_size = 0;
  int64_t intermediate_size = 0;
  int64_t num_layers = 0;
  int64_t num_heads = 0;
  int64_t num_kv_heads = 0;
  int64_t head_dim = 0;
  int64_t max_positions = 0;

  ConfigNorm norm = ConfigNorm::kRms;
  double norm_epsilon = 1e-6;
  double norm_weight_offset = 0;  // 1: checkpoints store the norm weight minus one
  ConfigActivation activation = ConfigActivation::kSilu;
  bool qkv_bias = false;
  bool output_bias = false;  // of the output matmul of attention
  bool mlp_bias = false;
  bool qk_norm = false;  // RMSNorm of each head of q and k before the rotation
  bool tied_embeddings = false;
  double embedding_scale = 1;
  double attention_scale = 0;  // resolved: head_dim^-0.5 unless the config says otherwise
  double attention_soft_cap = 0;
  double logit_soft_cap = 0;

  std::vector<RopeConfig> ropes;      // distinct kinds; most models have one
  std::vector<int32_t> layer_rope;    // [num_layers] index into ropes
  std::vector<int32_t> layer_window;  // [num_layers] 0: full attention

  StoredNames names;
  DType stored_dtype = DType::kBFloat16;  // according to config.json; the files take precedence
  TokenId bos_id = -1;
  // Of config.json, else of the family; ModelSource adds those of generation_config.json.
  std::vector<TokenId> eos_ids;
  bool tie_is_implied = false;  // tied_embeddings is the default of the wrapper, no key states it
  bool eos_is_implied = false;  // config.json says nothing: generation_config.json alone decides

  std::vector<std::string> notes;  // TRI-CONF-007: a line per value that is not used

  bool operator==(const ModelConfig&) const = default;
};

}  // namespace trireme
