#include "model/config/read_model_config.h"

#include <algorithm>
#include <cmath>
#include <filesystem>

#include "model/config/rope_config.h"
#include "model/file_text.h"
#include "model/json_reader.h"

namespace trireme {

namespace {

constexpr char kFieldId[] = "TRI-CONF-003";
constexpr int64_t kMaxConfigBytes = 4 << 20;

// The defaults of a family for keys that config.json leaves out, and the keys that it honours.
struct FamilyRow {
  const char* model_type;
  bool qkv_bias;  // always present, regardless of "attention_bias"
  bool qk_norm;
  bool mlp_bias_key;  // honours "mlp_bias"
  bool attention_bias_key;
  int64_t default_window;    // if "sliding_window" is absent
  bool window_needs_switch;  // only with "use_sliding_window": true
  int64_t default_max_window_layers;
  int64_t default_head_dim;  // 0: hidden_size / num_attention_heads
  int64_t default_kv_heads;  // if the key is absent; null and 0: num_attention_heads
  int64_t default_max_positions;
};

constexpr FamilyRow kFamilies[] = {
    {"llama", false, false, true, true, 0, false, 0, 0, 0, 2048},
    {"mistral", false, false, false, false, 4096, false, 0, 0, 8, 131072},
    {"qwen2", true, false, false, false, 4096, true, 28, 0, 32, 32768},
    {"qwen3", false, true, false, true, 4096, true, 28, 128, 32, 32768},
};

const FamilyRow* find_family(const std::string& model_type) {
  for (const FamilyRow& row : kFamilies) {
    if (model_type == row.model_type) return &row;
  }
  return nullptr;
}

std::string supported_families() {
  std::vector<std::string> names;
  for (const FamilyRow& row : kFamilies) names.push_back(row.model_type);
  return join(names);
}

// The value of an absent or null "num_key_value_heads". The default of the family applies only if
// it divides the number of heads.
int64_t implied_kv_heads(const JsonReader& reader, const FamilyRow& family, int64_t num_heads) {
  const bool no_default = family.default_kv_heads == 0 || reader.is_null("num_key_value_heads");
  return no_default || num_heads % family.default_kv_heads != 0 ? num_heads
                                                                : family.default_kv_heads;
}

void read_sizes(JsonReader& reader, const FamilyRow& family, ModelConfig& config) {
  config.vocabulary_size = reader.integer("vocab_size", 1, 1 << 24);
  config.hidden_size = reader.integer("hidden_size", 8, 1 << 17);
  config.intermediate_size = reader.integer("intermediate_size", 1, 1 << 20);
  config.num_layers = reader.integer("num_hidden_layers", 1, 4096);
  config.num_heads = reader.integer("num_attention_heads", 1, 4096);
  config.num_kv_heads = reader.integer(
      "num_key_value_heads", 1, 4096, implied_kv_heads(reader, family, config.num_heads));
  config.max_positions =
      reader.integer("max_position_embeddings", 1, 1 << 24, family.default_max_positions);
  config.norm_epsilon = reader.number("rms_norm_eps", 0, 1, 1e-6);
  if (!reader.status().ok()) return;
  int64_t head_dim = family.default_head_dim;
  if (head_dim == 0) {
    if (!reader.has("head_dim") && config.hidden_size % config.num_heads != 0) {
      reader.fail(
          "\"hidden_size\" {} is no multiple of \"num_attention_heads\" {} and there is no "
          "\"head_dim\"",
          config.hidden_size,
          config.num_heads);
    }
    head_dim = config.hidden_size / config.num_heads;
  }
  config.head_dim = reader.integer("head_dim", 2, 1024, head_dim);
  if (config.head_dim % 2 != 0) {
    reader.fail("\"head_dim\" is {}, rotary embedding needs an even number", config.head_dim);
  }
  if (config.num_heads % config.num_kv_heads != 0) {
    reader.fail("\"num_attention_heads\" {} is no multiple of \"num_key_value_heads\" {}",
                config.num_heads,
                config.num_kv_heads);
  }
}

void read_flags(JsonReader& reader, const FamilyRow& family, ModelConfig& config) {
  config.qkv_bias = family.qkv_bias;
  config.qk_norm = family.qk_norm;
  if (family.attention_bias_key) {
    config.qkv_bias |= reader.boolean("attention_bias", false);
    config.output_bias = reader.boolean("attention_bias", false);
  }
  if (family.mlp_bias_key) config.mlp_bias = reader.boolean("mlp_bias", false);
  config.tied_embeddings = reader.boolean("tie_word_embeddings", false);
  config.attention_scale = 1 / std::sqrt(static_cast<double>(config.head_dim));
  const std::string activation = reader.string("hidden_act", "silu");
  if (activation != "silu" && activation != "swish") {
    reader.fail("\"hidden_act\" is \"{}\", supported is \"silu\"", activation);
  }
}

void read_layer_types(JsonReader& reader, JsonValue types, int32_t window, ModelConfig& config) {
  const size_t count = types.count();
  if (static_cast<int64_t>(count) != config.num_layers) {
    return reader.fail("\"layer_types\" has {} entries for {} layers", count, config.num_layers);
  }
  int64_t layer = 0;
  (void)types.each([&](JsonValue type) -> Status {
    const std::string name = type.is(JsonValue::Kind::kString) ? type.string() : "";
    if (name == "sliding_attention") {
      config.layer_window[layer] = window;
    } else if (name != "full_attention") {
      reader.fail(
          "\"layer_types\"[{}] is {}, supported are \"full_attention\" and \"sliding_attention\"",
          layer,
          shown(type));
    }
    ++layer;
    return reader.status();
  });
}

// The attention window of each layer, by the rules of the reference implementation of the family.
void read_windows(JsonReader& reader, const FamilyRow& family, ModelConfig& config) {
  config.layer_window.assign(config.num_layers, 0);
  if (family.default_window == 0) return;
  const int64_t window = reader.is_null("sliding_window")
                             ? 0
                             : reader.integer("sliding_window", 1, 1 << 24, family.default_window);
  if (family.window_needs_switch && !reader.boolean("use_sliding_window", false)) return;
  int64_t first_sliding = 0;
  if (family.window_needs_switch) {
    first_sliding =
        reader.integer("max_window_layers", 0, 1 << 20, family.default_max_window_layers);
  }
  const auto types = reader.field("layer_types");
  if (types && types->is(JsonValue::Kind::kArray)) {
    return read_layer_types(reader, *types, static_cast<int32_t>(window), config);
  }
  for (int64_t layer = first_sliding; layer < config.num_layers; ++layer) {
    config.layer_window[layer] = static_cast<int32_t>(window);
  }
}

void read_tokens(JsonReader& reader, ModelConfig& config) {
  config.bos_id = static_cast<TokenId>(reader.integer("bos_token_id", -1, 1 << 24, -1));
  config.eos_ids = reader.token_ids("eos_token_id");
}

void read_dtype(JsonReader& reader, ModelConfig& config) {
  const std::string name = reader.string("dtype", reader.string("torch_dtype", "bfloat16"));
  if (name == "float32") config.stored_dtype = DType::kFloat32;
  if (name == "float16") config.stored_dtype = DType::kFloat16;
}

Status unsupported_family(JsonValue json, const std::string& source) {
  const auto words = [&](const char* key) {
    const auto value = json.find(key);
    return value ? shown(*value) : std::string("missing");
  };
  return invalid("TRI-CONF-004",
                 "{}: \"model_type\" is {} (\"architectures\" {}), supported are {}",
                 source,
                 words("model_type"),
                 words("architectures"),
                 supported_families());
}

}  // namespace

StatusOr<ModelConfig> parse_model_config(const std::string& json_text, const std::string& source) {
  ASSIGN_OR_RETURN(const JsonValue json, parse_json_object(json_text, source));
  const auto type = json.find("model_type");
  const FamilyRow* family = nullptr;
  if (type && type->is(JsonValue::Kind::kString)) family = find_family(type->string());
  if (family == nullptr) return unsupported_family(json, source);
  JsonReader reader(json, kFieldId, source);
  RETURN_IF_ERROR(reader.status());
  if (reader.has("quantization_config")) {
    return invalid("TRI-CONF-005",
                   "{}: \"quantization_config\" is set; quantised checkpoints are not supported, "
                   "use the bf16, fp16 or fp32 one",
                   source);
  }
  ModelConfig config;
  config.model_type = family->model_type;
  read_sizes(reader, *family, config);
  RETURN_IF_ERROR(reader.status());
  read_flags(reader, *family, config);
  read_windows(reader, *family, config);
  read_tokens(reader, config);
  read_dtype(reader, config);
  RETURN_IF_ERROR(reader.status());
  ASSIGN_OR_RETURN(RopeConfig rope, parse_rope(reader, config.max_positions, source));
  config.ropes = {rope};
  config.layer_rope.assign(config.num_layers, 0);
  return config;
}

StatusOr<ModelConfig> load_model_config(const std::string& model_dir) {
  const std::string path = model_dir + "/config.json";
  ASSIGN_OR_RETURN(const std::string text, read_text_file(path, kMaxConfigBytes, "TRI-CONF-001"));
  return parse_model_config(text, path);
}

}  // namespace trireme
