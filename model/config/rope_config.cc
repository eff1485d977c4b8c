#include "model/config/rope_config.h"

#include <algorithm>
#include <cmath>

#include "model/json_reader.h"

namespace trireme {

namespace {

// YaRN's magnitude correction (Peng et al. 2023, section 3.4).
double yarn_magnitude(double factor, double weight) {
  return factor <= 1 ? 1 : 0.1 * weight * std::log(factor) + 1;
}

// As in transformers: an explicit attention_factor, else the ratio of mscale and mscale_all_dim,
// else the magnitude of the factor.
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

// As in transformers: every scaling has a factor; in YaRN null means the ratio of the two lengths.
double read_factor(JsonReader& reader, const std::string& type, double ratio) {
  if (reader.has("factor")) return reader.number("factor", 1, 1e6, 1);
  if (type == "yarn" && reader.is_null("factor")) return std::max(1.0, ratio);
  reader.fail("\"factor\" is missing; {} needs a number from 1 to 1e+06", type);
  return 1;
}

// The context length before scaling. The key of the model takes precedence over that of the
// scaling.
int64_t read_original(JsonReader& top, JsonReader& reader, int64_t max_positions) {
  const char* key = "original_max_position_embeddings";
  return top.integer(key, 1, 1 << 24, reader.integer(key, 1, 1 << 24, max_positions));
}

void read_llama3(JsonReader& reader, RopeConfig& rope) {
  rope.low_freq_factor = reader.number("low_freq_factor", 1e-6, 1e6, 1);
  rope.high_freq_factor = reader.number("high_freq_factor", 1e-6, 1e6, 4);
  if (rope.high_freq_factor <= rope.low_freq_factor) {
    reader.fail("\"high_freq_factor\" {:g} must exceed \"low_freq_factor\" {:g}",
                rope.high_freq_factor,
                rope.low_freq_factor);
  }
}

void read_yarn(JsonReader& reader, RopeConfig& rope) {
  rope.beta_fast = reader.number("beta_fast", 1e-6, 1e6, 32);
  rope.beta_slow = reader.number("beta_slow", 1e-6, 1e6, 1);
  rope.truncate = reader.boolean("truncate", true);
  rope.attention_factor = yarn_attention_factor(reader, rope.factor);
}

// Reads the keys of the given scaling type. TRI-CONF-006: an unknown type.
Status read_scaling(JsonReader& top,
                    JsonReader& reader,
                    const std::string& type,
                    int64_t max_positions,
                    RopeConfig& rope) {
  if (type == "default") return ok_status();
  if (type != "linear" && type != "llama3" && type != "yarn") {
    return invalid("TRI-CONF-006",
                   "{} has type \"{}\", supported are default, linear, llama3 and yarn",
                   reader.source(),
                   type.substr(0, 40));
  }
  if (type != "linear") rope.original_max_positions = read_original(top, reader, max_positions);
  rope.factor =
      read_factor(reader,
                  type,
                  static_cast<double>(max_positions) /
                      static_cast<double>(std::max<int64_t>(1, rope.original_max_positions)));
  if (type == "linear") {
    rope.scaling = RopeScaling::kLinear;
  } else if (type == "llama3") {
    rope.scaling = RopeScaling::kLlama3;
    read_llama3(reader, rope);
  } else {
    rope.scaling = RopeScaling::kYarn;
    read_yarn(reader, rope);
  }
  return top.status();
}

}  // namespace

StatusOr<RopeConfig> parse_rope(JsonReader& top, int64_t max_positions, const std::string& source) {
  RopeConfig rope;
  rope.theta = top.number("rope_theta", 1e-3, 1e15, 10000);
  if (top.number("partial_rotary_factor", 0, 1, 1) != 1) {
    top.fail("\"partial_rotary_factor\" is set, supported is 1");
  }
  RETURN_IF_ERROR(top.status());
  // The newer key first, for its theta. If both are present, "rope_scaling" was added by hand, as
  // model cards recommend, and determines the scaling.
  for (const char* key : {"rope_parameters", "rope_scaling"}) {
    if (!top.has(key)) continue;
    const JsonValue fields = *top.field(key);
    if (!fields.is(JsonValue::Kind::kObject)) {
      return invalid("TRI-CONF-003", "{}: \"{}\" must be an object or null", source, key);
    }
    JsonReader reader(fields, "TRI-CONF-003", format_text("{}, {}", source, key));
    rope = {.theta = reader.number("rope_theta", 1e-3, 1e15, rope.theta)};
    if (reader.number("partial_rotary_factor", 0, 1, 1) != 1) {
      reader.fail("\"partial_rotary_factor\" is set, supported is 1");
    }
    const std::string type = reader.string("rope_type", reader.string("type", "default"));
    RETURN_IF_ERROR(read_scaling(top, reader, type, max_positions, rope));
    RETURN_IF_ERROR(reader.status());
  }
  return rope;
}

}  // namespace trireme
