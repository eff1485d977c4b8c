#include "model/config/read_model_config.h"

#include <cmath>
#include <optional>

#include "model/config/family.h"
#include "model/config/layer_windows.h"
#include "model/config/neutral_keys.h"
#include "model/config/rope_config.h"
#include "model/config/text_model.h"
#include "model/file_text.h"
#include "model/json_reader.h"

namespace trireme {

namespace {

constexpr char kFieldId[] = "TRI-CONF-003";
constexpr char kUnusedId[] = "TRI-CONF-007";
constexpr int64_t kMaxConfigBytes = 4 << 20;

// The fields of the text model, and those of the whole file for what the text model leaves out.
struct ConfigFields {
  JsonReader& text;
  JsonReader& whole;  // the same reader, if the text model is the whole file
  const Family& family;
  bool wrapped;
  const Wrapper* wrapper;

  bool wrapper_ties() const { return wrapper != nullptr && wrapper->ties; }
  bool may_lack_keys() const {
    return wrapped && (wrapper == nullptr || !wrapper->has_own_defaults);
  }
  JsonReader& having(const char* key) const { return text.has(key) ? text : whole; }
  bool absent(const char* key) const {  // neither a value nor null
    return !having(key).has(key) && !text.is_null(key) && !whole.is_null(key);
  }
};

// The value of an absent or null "num_key_value_heads". The default of the family applies only if
// it divides the number of heads.
int64_t implied_kv_heads(const JsonReader& reader, const Family& family, int64_t num_heads) {
  const bool no_default = family.kv_heads == 0 || reader.is_null("num_key_value_heads");
  return no_default || num_heads % family.kv_heads != 0 ? num_heads : family.kv_heads;
}

void read_head_dim(JsonReader& reader, const Family& family, ModelConfig& config) {
  int64_t head_dim = family.head_dim;
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
}

void read_sizes(const ConfigFields& fields, ModelConfig& config) {
  JsonReader& reader = fields.text;
  const auto size = [&](const char* key, int64_t low, int64_t high, int64_t of_family) {
    return fields.may_lack_keys() ? reader.integer(key, low, high, of_family)
                                  : reader.integer(key, low, high);
  };
  const FamilySizes& sizes = fields.family.sizes;
  config.vocabulary_size = size("vocab_size", 1, 1 << 24, sizes.vocabulary);
  config.hidden_size = size("hidden_size", 8, 1 << 17, sizes.hidden);
  config.intermediate_size = size("intermediate_size", 1, 1 << 20, sizes.intermediate);
  config.num_layers = size("num_hidden_layers", 1, 4096, sizes.layers);
  config.num_heads = size("num_attention_heads", 1, 4096, sizes.heads);
  config.num_kv_heads = reader.integer(
      "num_key_value_heads", 1, 4096, implied_kv_heads(reader, fields.family, config.num_heads));
  config.max_positions =
      reader.integer("max_position_embeddings", 1, 1 << 24, fields.family.max_positions);
  config.norm_epsilon = reader.number("rms_norm_eps", 0, 1, 1e-6);
  if (!reader.status().ok()) return;
  read_head_dim(reader, fields.family, config);
  if (config.num_heads % config.num_kv_heads != 0) {
    reader.fail("\"num_attention_heads\" {} is no multiple of \"num_key_value_heads\" {}",
                config.num_heads,
                config.num_kv_heads);
  }
}

// Keys that the reference implementation fills with values of the wrapper, not of the family.
void expect_own_defaults(const ConfigFields& fields) {
  if (!fields.wrapped || fields.may_lack_keys()) return;
  JsonReader& reader = fields.text;
  for (const char* key : {"num_key_value_heads", "max_position_embeddings", "rms_norm_eps"}) {
    if (!reader.has(key)) reader.fail("the field \"{}\" is missing", key);
  }
  const auto rope = reader.field("rope_parameters");
  const bool has_theta =
      rope && rope->is(JsonValue::Kind::kObject) && rope->find("rope_theta").has_value();
  if (!has_theta && !reader.has("rope_theta")) reader.fail("the field \"rope_theta\" is missing");
}

// Dual chunk attention is plain attention within its first chunk, so the model ends there.
Status limit_to_first_chunk(const JsonReader& reader, ModelConfig& config) {
  const auto fields = reader.field("dual_chunk_attention_config");
  if (!fields || is_off(*fields)) return ok_status();
  if (!fields->is(JsonValue::Kind::kObject)) {
    return invalid(kFieldId,
                   "{}: \"dual_chunk_attention_config\" is {}, allowed is an object",
                   reader.source(),
                   shown(*fields));
  }
  JsonReader dual(*fields, kFieldId, reader.source() + ", dual_chunk_attention_config");
  const int64_t chunk = dual.integer("chunk_size", 1, 1 << 24);
  const int64_t local = dual.integer("local_size", 0, chunk - 1);
  RETURN_IF_ERROR(dual.status());
  if (chunk - local >= config.max_positions) return ok_status();
  config.notes.push_back(format_text(
      "{}: {}: \"dual_chunk_attention_config\" is supported within its first chunk only; the "
      "maximum length is {}, not {}",
      kUnusedId,
      reader.source(),
      chunk - local,
      config.max_positions));
  config.max_positions = chunk - local;
  return ok_status();
}

// The reference implementation ties by the key of the whole file, and the text model inside by its
// own.
void read_tie(const ConfigFields& fields, ModelConfig& config) {
  constexpr char kKey[] = "tie_word_embeddings";
  const bool inner = fields.text.boolean(kKey, false);
  const bool outer = fields.whole.boolean(kKey, false);
  config.tie_is_implied = !inner && !fields.whole.has(kKey) && fields.wrapper_ties();
  config.tied_embeddings = inner || outer || config.tie_is_implied;
}

void read_flags(const ConfigFields& fields, ModelConfig& config) {
  JsonReader& reader = fields.text;
  const Family& family = fields.family;
  config.qkv_bias = family.qkv_bias;
  config.qk_norm = family.qk_norm;
  if (family.attention_bias_key) {
    config.qkv_bias |= reader.boolean("attention_bias", false);
    config.output_bias = reader.boolean("attention_bias", false);
  }
  if (family.mlp_bias_key) config.mlp_bias = reader.boolean("mlp_bias", false);
  read_tie(fields, config);
  config.attention_scale = 1 / std::sqrt(static_cast<double>(config.head_dim));
  const std::string activation = reader.string("hidden_act", "silu");
  if (activation != "silu" && activation != "swish") {
    reader.fail("\"hidden_act\" is \"{}\", supported is \"silu\"", activation);
  }
}

void read_tokens(const ConfigFields& fields, ModelConfig& config) {
  const TokenId implied_bos = fields.absent("bos_token_id") ? fields.family.bos_id : -1;
  config.bos_id = static_cast<TokenId>(
      fields.having("bos_token_id").integer("bos_token_id", -1, 1 << 24, implied_bos));
  // As in generation_config.json, an id that cannot be used does not stop a load: -1 is a common
  // word for none.
  const JsonReader& stated = fields.having("eos_token_id");
  JsonReader reader(stated.object(), kUnusedId, stated.source());
  config.eos_ids = reader.token_ids("eos_token_id");
  if (!reader.status().ok()) {
    config.notes.push_back(message_of(reader.status()) + "; the value is ignored");
  }
  config.eos_is_implied = fields.absent("eos_token_id");
  if (config.eos_is_implied && fields.family.eos_id >= 0) config.eos_ids = {fields.family.eos_id};
}

// A name ("float16", or "torch.float16" as torch prints it), or an object of names by part of the
// model. Only a statement: the files of the weights take precedence.
std::optional<std::string> dtype_name(JsonReader& reader, const char* key) {
  const auto value = reader.field(key);
  if (!value) return std::nullopt;
  std::string name;
  if (value->is(JsonValue::Kind::kObject)) {
    for (const char* part : {"", "text_config"}) {
      const auto found = value->find(part);
      if (found && found->is(JsonValue::Kind::kString)) name = found->string();
    }
  } else {
    name = reader.string(key, "");
  }
  constexpr std::string_view kTorch = "torch.";
  return name.starts_with(kTorch) ? name.substr(kTorch.size()) : name;
}

void read_dtype(const ConfigFields& fields, ModelConfig& config) {
  std::optional<std::string> name;
  for (JsonReader* reader : {&fields.text, &fields.whole}) {
    for (const char* key : {"dtype", "torch_dtype"}) {
      if (!name) name = dtype_name(*reader, key);
    }
  }
  if (name == "float32") config.stored_dtype = DType::kFloat32;
  if (name == "float16") config.stored_dtype = DType::kFloat16;
}

// Tools write "none", or groups of which there are none beside dense weights, for what they left as
// it was.
bool is_quantised(JsonValue value) {
  if (is_off(value) || string_of(value) == "none") return false;
  if (!value.is(JsonValue::Kind::kObject)) return true;
  const auto groups = value.find("config_groups");
  const auto cache = value.find("kv_cache_scheme");
  const auto sparsity = value.find("sparsity_config");
  const bool is_sparse =
      sparsity && !is_off(*sparsity) &&
      !(sparsity->is(JsonValue::Kind::kObject) && string_of(sparsity->find("format")) == "dense");
  const bool is_plain = groups && is_off(*groups) && (!cache || is_off(*cache)) && !is_sparse &&
                        string_of(value.find("format")) == "dense";
  return !is_plain;
}

// The three names under which tools store how a checkpoint is quantised.
Status check_not_quantised(const JsonReader& reader) {
  for (const char* key : {"quantization_config", "compression_config", "quantization"}) {
    const auto value = reader.field(key);
    if (!value || !is_quantised(*value)) continue;
    return invalid("TRI-CONF-005",
                   "{}: \"{}\" is set; quantised checkpoints are not supported, use the bf16, fp16 "
                   "or fp32 one",
                   reader.source(),
                   key);
  }
  return ok_status();
}

}  // namespace

StatusOr<ModelConfig> parse_model_config(const std::string& json_text, const std::string& source) {
  ASSIGN_OR_RETURN(const JsonValue json, parse_json_object(json_text, source));
  JsonReader whole(json, kFieldId, source);
  ASSIGN_OR_RETURN(const TextModel model, find_text_model(whole));
  JsonReader inner(model.fields, kFieldId, model.source);
  JsonReader& text = model.wrapped ? inner : whole;
  RETURN_IF_ERROR(check_not_quantised(whole));
  if (model.wrapped) RETURN_IF_ERROR(check_not_quantised(text));
  const ConfigFields fields = {text, whole, *model.family, model.wrapped, model.wrapper};
  ModelConfig config;
  config.model_type = model.family->model_type;
  expect_own_defaults(fields);
  read_sizes(fields, config);
  RETURN_IF_ERROR(text.status());
  read_flags(fields, config);
  read_layer_windows(text, *model.family, config);
  read_tokens(fields, config);
  read_dtype(fields, config);
  RETURN_IF_ERROR(whole.status());
  RETURN_IF_ERROR(text.status());
  RETURN_IF_ERROR(read_ropes(text, config));
  RETURN_IF_ERROR(limit_to_first_chunk(text, config));
  RETURN_IF_ERROR(check_neutral_keys(text, *model.family, config));
  if (model.wrapped) RETURN_IF_ERROR(check_neutral_keys_of_wrapper(whole, *model.family, config));
  return config;
}

StatusOr<ModelConfig> load_model_config(const std::string& model_dir) {
  const std::string path = model_dir + "/config.json";
  ASSIGN_OR_RETURN(const std::string text, read_text_file(path, kMaxConfigBytes, "TRI-CONF-001"));
  return parse_model_config(text, path);
}

}  // namespace trireme
