#include "model/config/neutral_keys.h"

#include <algorithm>
#include <string>

#include "model/config/neutral_key_table.h"
#include "model/json_reader.h"

namespace trireme {

namespace {

bool is_word(JsonValue value, std::initializer_list<std::string_view> words) {
  return std::ranges::find(words, string_of(value)) != words.end();
}

bool is_true(JsonValue value) {
  return value.is(JsonValue::Kind::kBoolean) ? value.boolean() : is_number(value, 1);
}

template <class Check>
bool is_list_of(JsonValue value, const Check& check) {
  if (!value.is(JsonValue::Kind::kArray)) return false;
  bool all = true;
  (void)value.each([&](JsonValue element) {
    all &= check(element);
    return ok_status();
  });
  return all;
}

bool is_theta_of_all(JsonValue value, const ModelConfig& config) {
  return std::ranges::all_of(config.ropes,
                             [&](const RopeConfig& rope) { return is_number(value, rope.theta); });
}

// A family without windows computes the same as a window that reaches over every position; -1 is
// none.
bool covers_context(JsonValue value, const ModelConfig& config) {
  return value.is(JsonValue::Kind::kNumber) &&
         (value.number() < 0 || value.number() >= static_cast<double>(config.max_positions));
}

bool is_neutral(Neutral neutral, JsonValue value, const ModelConfig& config) {
  const double head_dim = static_cast<double>(config.head_dim);
  switch (neutral) {
    case Neutral::kOff:
      return is_off(value);
    case Neutral::kOne:
      return is_number(value, 1);
    case Neutral::kOffOrOne:
      return is_off(value) || is_number(value, 1);
    case Neutral::kTrue:
      return is_true(value);
    case Neutral::kOffOrNegative:
      return is_off(value) || (value.is(JsonValue::Kind::kNumber) && value.number() < 0);
    case Neutral::kAllOnes:
      return is_list_of(value, is_true);
    case Neutral::kAllDense:
      return is_list_of(value, [](JsonValue element) { return is_word(element, {"dense"}); });
    case Neutral::kQkNorm:
      return is_off(value) || (config.qk_norm && is_true(value));
    case Neutral::kQkvBias:
      return is_off(value) || (config.qkv_bias && is_true(value));
    case Neutral::kOutputBias:
      return is_off(value) || (config.output_bias && is_true(value));
    case Neutral::kHeadDim:
      return is_number(value, head_dim);
    case Neutral::kHiddenSize:
      return is_number(value, static_cast<double>(config.hidden_size));
    case Neutral::kNumHeads:
      return is_number(value, static_cast<double>(config.num_heads));
    case Neutral::kNumKvHeads:
      return is_number(value, static_cast<double>(config.num_kv_heads));
    case Neutral::kNormEpsilon:
      return is_number(value, config.norm_epsilon);
    case Neutral::kAttentionScale:
      return is_number(value, config.attention_scale);
    case Neutral::kTheta:
      return is_theta_of_all(value, config);
    case Neutral::kWholeContext:
      return is_off(value) || covers_context(value, config);
    case Neutral::kSilu:
      return is_word(value, {"silu", "swish", "swiglu"});
    case Neutral::kRope:
      return is_word(value, {"rope", "rotary", "rotary_embedding", "ROPE"});
    case Neutral::kRmsNorm:
      return is_word(value, {"rms", "rmsnorm", "rms_norm", "RMSNorm"});
  }
  return false;
}

// The neutral values as a message shows them.
std::string neutral_words(Neutral neutral, const ModelConfig& config) {
  switch (neutral) {
    case Neutral::kOne:
      return "null and 1";
    case Neutral::kOffOrOne:
      return "null, false, 0 and 1";
    case Neutral::kTrue:
      return "null and true";
    case Neutral::kAllOnes:
      return "null and a list of ones";
    case Neutral::kAllDense:
      return "null and a list of \"dense\"";
    case Neutral::kHeadDim:
      return format_text("null and {}", config.head_dim);
    case Neutral::kHiddenSize:
      return format_text("null and {}", config.hidden_size);
    case Neutral::kNumHeads:
      return format_text("null and {}", config.num_heads);
    case Neutral::kNumKvHeads:
      return format_text("null and {}", config.num_kv_heads);
    case Neutral::kNormEpsilon:
      return format_text("null and {:g}", config.norm_epsilon);
    case Neutral::kAttentionScale:
      return format_text("null and {:g}", config.attention_scale);
    case Neutral::kTheta:
      return format_text("null and {:g}", config.ropes.front().theta);
    case Neutral::kWholeContext:
      return format_text("null and numbers from {}", config.max_positions);
    case Neutral::kSilu:
      return "null and \"silu\"";
    case Neutral::kRope:
      return "null and \"rope\"";
    case Neutral::kRmsNorm:
      return "null and \"rmsnorm\"";
    case Neutral::kOff:
    case Neutral::kOffOrNegative:
    case Neutral::kQkNorm:
    case Neutral::kQkvBias:
    case Neutral::kOutputBias:
      break;
  }
  return "null, false and 0";
}

bool family_reads(const Family& family, std::string_view key) {
  if (key == "attention_bias") return family.attention_bias_key;
  if (key == "mlp_bias") return family.mlp_bias_key;
  if (key == "sliding_window" || key == "use_sliding_window") {
    return family.windows != WindowRule::kNone;
  }
  return false;
}

// A key that another one of the file makes void.
bool is_void(Neutral neutral, const JsonReader& reader) {
  if (neutral == Neutral::kNormEpsilon) return reader.has("rms_norm_eps");
  if (neutral != Neutral::kWholeContext) return false;
  const auto uses = reader.field("use_sliding_window");
  return uses && is_off(*uses);
}

Status check(std::string_view key,
             JsonValue value,
             const JsonReader& reader,
             const Family& family,
             const ModelConfig& config) {
  const NeutralKey* found = find_neutral_key(key);
  if (found == nullptr || value.is(JsonValue::Kind::kNull)) return ok_status();
  if (family_reads(family, key) || is_neutral(found->neutral, value, config)) return ok_status();
  if (is_void(found->neutral, reader)) return ok_status();
  return invalid(
      "TRI-CONF-010",
      "{}: \"{}\" is {} ({}), which the family {} does not have; supported are {}; "
      "use a checkpoint of the plain family, or set the key to null if this checkpoint does "
      "not use it",
      reader.source(),
      found->key,
      shown(value),
      found->meaning,
      family.model_type,
      neutral_words(found->neutral, config));
}

}  // namespace

Status check_neutral_keys(const JsonReader& reader,
                          const Family& family,
                          const ModelConfig& config) {
  return reader.object().each_last_member([&](std::string_view key, JsonValue value) {
    return check(key, value, reader, family, config);
  });
}

Status check_neutral_keys_of_wrapper(const JsonReader& reader,
                                     const Family& family,
                                     const ModelConfig& config) {
  return reader.object().each_last_member([&](std::string_view key, JsonValue value) {
    // The epsilon of the text model stands inside.
    const NeutralKey* found = find_neutral_key(key);
    const bool is_epsilon = found != nullptr && found->neutral == Neutral::kNormEpsilon;
    if (is_epsilon || key == "text_config") return ok_status();
    return check(key, value, reader, family, config);
  });
}

}  // namespace trireme
