// The model families: defaults for keys that config.json leaves out, and the keys that each family
// honours. The values are those of the reference implementation's configuration class of the
// family, not of one checkpoint. Constant tables, any thread.
#pragma once

#include <cstdint>
#include <string>

namespace trireme {

// Which layers have a sliding window.
enum class WindowRule : uint8_t {
  kNone,      // none: "sliding_window" is not read
  kAll,       // all, if "sliding_window" is not null
  kSwitched,  // with "use_sliding_window": those of "layer_types", else from "max_window_layers" on
};

// Sizes that a text model inside "text_config" may leave out: files of wrappers state only what
// differs from the defaults of the family. In a model of its own they are required.
struct FamilySizes {
  int64_t vocabulary;
  int64_t hidden;
  int64_t intermediate;
  int64_t layers;
  int64_t heads;
};

struct Family {
  const char* model_type;
  bool qkv_bias;  // always present, regardless of "attention_bias"
  bool qk_norm;
  bool mlp_bias_key;  // honours "mlp_bias"
  bool attention_bias_key;
  WindowRule windows;
  int64_t window;             // if "sliding_window" is absent
  int64_t max_window_layers;  // if the key is absent
  int64_t head_dim;           // 0: hidden_size / num_attention_heads
  int64_t kv_heads;           // if the key is absent; null and 0: num_attention_heads
  int64_t max_positions;
  int32_t bos_id;  // if the key is absent; -1: none
  int32_t eos_id;
  FamilySizes sizes;
};

// Null: no such family.
const Family* find_family(const std::string& model_type);

// The names of all families, for messages.
std::string supported_families();

}  // namespace trireme
