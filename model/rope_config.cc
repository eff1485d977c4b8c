#include "model/rope_config.h"

#include <cmath>

#include "model/json_reader.h"

namespace trireme {

namespace {

// YaRN's magnitude correction (Peng et al. 2023, section 3.4).
double yarn_magnitude(double factor, double weight) {
  return factor <= 1 ? 1 : 0.1 * weight * std::log(factor) + 1;
}

// transformers: an explicit attention_factor, else the ratio of mscale and mscale_all_dim, else the
// magnitude of the factor.
double yarn_attention_factor(JsonReader& reader, double factor) {
  if (reader.has("attention_factor")) return reader.number("attention_factor", 1e-6, 1e6, 1);
  if (reader.has("mscale") && reader.has("mscale_all_dim")) {
    const double mscale = reader.number("mscale", -1e6, 1e6, 1);
    const double all = reader.number("mscale_all_dim", -1e6, 1e6, 1);
    if (mscale != 0 && all != 0)
      return yarn_magnitude(factor, mscale) / yarn_magnitude(factor, all);
  }
  return yarn_magnitude(factor, 1);
}

void read_llama3(JsonReader& reader, int64_t max_positions, RopeConfig& rope) {
  rope.low_freq_factor = reader.number("low_freq_factor", 1e-6, 1e6, 1);
  rope.high_freq_factor = reader.number("high_freq_factor", 1e-6, 1e6, 4);
  rope.original_max_positions =
      reader.integer("original_max_position_embeddings", 1, 1 << 24, max_positions);
  if (rope.high_freq_factor <= rope.low_freq_factor) {
    reader.fail("\"high_freq_factor\" ",
                rope.high_freq_factor,
                " must exceed \"low_freq_factor\" ",
                rope.low_freq_factor);
  }
}

void read_yarn(JsonReader& reader, int64_t max_positions, RopeConfig& rope) {
  rope.original_max_positions =
      reader.integer("original_max_position_embeddings", 1, 1 << 24, max_positions);
  rope.beta_fast = reader.number("beta_fast", 1e-6, 1e6, 32);
  rope.beta_slow = reader.number("beta_slow", 1e-6, 1e6, 1);
  rope.truncate = reader.boolean("truncate", true);
  rope.attention_factor = yarn_attention_factor(reader, rope.factor);
}

}  // namespace

StatusOr<RopeConfig> parse_rope(JsonReader& top, int64_t max_positions, const std::string& source) {
  RopeConfig rope;
  rope.theta = top.number("rope_theta", 1e-3, 1e15, 10000);
  if (top.number("partial_rotary_factor", 0, 1, 1) != 1) {
    top.fail("\"partial_rotary_factor\" is set, supported is 1");
  }
  RETURN_IF_ERROR(top.status());
  const char* key = top.has("rope_parameters") ? "rope_parameters" : "rope_scaling";
  if (!top.has(key)) return rope;
  const JsonValue fields = *top.field(key);
  if (!fields.is(JsonValue::Kind::kObject)) {
    return invalid("TRI-CONF-003", source, ": \"", key, "\" must be an object or null");
  }
  JsonReader reader(fields, "TRI-CONF-003", concat(source, ", ", key));
  rope.theta = reader.number("rope_theta", 1e-3, 1e15, rope.theta);
  const std::string type = reader.string("rope_type", reader.string("type", "default"));
  if (reader.number("partial_rotary_factor", 0, 1, 1) != 1) {
    reader.fail("\"partial_rotary_factor\" is set, supported is 1");
  }
  if (type != "default") rope.factor = reader.number("factor", 1, 1e6, 1);
  if (type == "linear") {
    rope.scaling = RopeScaling::kLinear;
  } else if (type == "llama3") {
    rope.scaling = RopeScaling::kLlama3;
    read_llama3(reader, max_positions, rope);
  } else if (type == "yarn") {
    rope.scaling = RopeScaling::kYarn;
    read_yarn(reader, max_positions, rope);
  } else if (type != "default") {
    return invalid("TRI-CONF-006",
                   source,
                   ": \"",
                   key,
                   "\" has type \"",
                   type.substr(0, 40),
                   "\", supported are default, linear, llama3 and yarn");
  }
  RETURN_IF_ERROR(reader.status());
  return rope;
}

}  // namespace trireme
