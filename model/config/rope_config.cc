#include "model/config/rope_config.h"

#include <algorithm>
#include <cmath>

#include "model/json_reader.h"

namespace trireme {

namespace {

constexpr int64_t kMaxPositions = 1 << 24;

// The keys of a rope object that are read here, and "finetuned", a remark of some YaRN checkpoints.
constexpr const char* kRopeKeys[] = {"rope_type",
                                     "type",
                                     "rope_theta",
                                     "partial_rotary_factor",
                                     "factor",
                                     "original_max_position_embeddings",
                                     "low_freq_factor",
                                     "high_freq_factor",
                                     "beta_fast",
                                     "beta_slow",
                                     "attention_factor",
                                     "mscale",
                                     "mscale_all_dim",
                                     "truncate",
                                     "finetuned"};

// The rotary embedding of one kind of layer, and the number of positions that it is made for.
struct KindRope {
  RopeConfig rope;
  int64_t max_positions = 0;
  bool may_extend = true;  // false: other frequencies hold beyond max_position_embeddings
};

bool is_rope_key(std::string_view name) {
  return std::ranges::any_of(kRopeKeys, [&](const char* key) { return name == key; });
}

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

void read_llama3(JsonReader& reader, RopeConfig& rope) {
  rope.low_freq_factor = reader.number("low_freq_factor", 1e-6, 1e6, 1);
  rope.high_freq_factor = reader.number("high_freq_factor", 1e-6, 1e6, 4);
  if (rope.high_freq_factor <= rope.low_freq_factor) {
    reader.fail("\"high_freq_factor\" {:g} must exceed \"low_freq_factor\" {:g}",
                rope.high_freq_factor,
                rope.low_freq_factor);
  }
}

// As in transformers, 0 is absent in the betas, and a null truncate is false.
void read_yarn(JsonReader& reader, RopeConfig& rope) {
  const double fast = reader.number("beta_fast", 0, 1e6, 0);
  const double slow = reader.number("beta_slow", 0, 1e6, 0);
  rope.beta_fast = fast > 0 ? fast : 32;
  rope.beta_slow = slow > 0 ? slow : 1;
  rope.truncate = !reader.is_null("truncate") && reader.boolean("truncate", true);
  rope.attention_factor = yarn_attention_factor(reader, rope.factor);
}

// Raises the length to `original` x factor where the scaling is one that extends a finished model:
// YaRN as model cards ask to add it (max_position_embeddings stays at the original length), and
// linear, as other servers do. Checkpoints that were published with YaRN state the extended length
// already; a longer statement stands. llama3 and dynamic describe a length, they do not extend it.
void extend(JsonReader& reader, double original, KindRope& found) {
  const double extended = std::floor(original * found.rope.factor);
  if (extended > static_cast<double>(kMaxPositions)) {
    reader.fail("\"factor\" {:g} extends {:g} positions to {:g}, allowed are at most {}",
                found.rope.factor,
                original,
                extended,
                kMaxPositions);
    return;
  }
  found.max_positions = std::max(found.max_positions, static_cast<int64_t>(extended));
}

// Resolves the rotary embedding of a kind of layer from the fields of a config.
class RopeReader {
 public:
  RopeReader(JsonReader& top, int64_t max_positions) : top_(top), max_positions_(max_positions) {}

  StatusOr<KindRope> read(const std::string& kind);

 private:
  Status apply(JsonValue fields, const std::string& source, KindRope& found);
  Status read_scaling(JsonReader& reader, const std::string& type, KindRope& found);

  JsonReader& top_;
  const int64_t max_positions_;  // as the config states it
};

// TRI-CONF-006: a key that means something to other families or engines, and is not neutral.
Status check_rope_keys(const JsonReader& reader, const std::string& type) {
  return reader.object().each_last_member([&](std::string_view name, JsonValue value) -> Status {
    if (is_rope_key(name) || is_off(value)) return ok_status();
    if (name == "attn_factor" && type == "yarn") return ok_status();  // check_attn_factor()
    const bool factor_of_one = name == "extrapolation_factor" || name == "attn_factor";
    if (factor_of_one && is_number(value, 1)) return ok_status();
    return invalid("TRI-CONF-006",
                   "{} has \"{}\" {}, which is not supported; supported are the keys of the types "
                   "default, linear, dynamic, llama3 and yarn; use another checkpoint of the model",
                   reader.source(),
                   name.substr(0, 40),
                   shown(value));
  });
}

void check_rotary_factor(JsonReader& reader) {
  const double factor = reader.number("partial_rotary_factor", 0, 1, 1);
  if (factor != 1) reader.fail("\"partial_rotary_factor\" is {:g}, supported is 1", factor);
}

// TRI-CONF-006: keys of a scaling, which the reference implementation would leave unused, without
// the type that they belong to.
Status check_default(const JsonReader& reader) {
  const bool named = reader.has("rope_type") || reader.has("type");
  for (const char* key : {"factor", "low_freq_factor", "high_freq_factor"}) {
    const auto value = reader.field(key);
    const bool is_factor = key == std::string_view("factor");
    if (!value || (is_factor ? is_number(*value, 1) : named)) continue;
    return invalid("TRI-CONF-006",
                   "{}: \"{}\" is {} and the type is {}; name the type in \"rope_type\" (linear, "
                   "dynamic, llama3 or yarn), or remove the key",
                   reader.source(),
                   key,
                   shown(*value),
                   named ? "default" : "missing");
  }
  return ok_status();
}

// TRI-CONF-006: an "attn_factor" of YaRN other than 1, which engines read differently.
Status check_attn_factor(JsonReader& reader, const RopeConfig& rope) {
  const auto value = reader.field("attn_factor");
  if (!value || is_off(*value) || is_number(*value, 1)) return ok_status();
  const double factor = reader.number("attn_factor", 1e-6, 1e6, 1);
  RETURN_IF_ERROR(reader.status());
  return invalid("TRI-CONF-006",
                 "{} has \"attn_factor\" {}: some engines multiply by it, which is "
                 "\"attention_factor\" {:.6f}, transformers ignores it, which is "
                 "\"attention_factor\" {:.6f}; write the one that the model is made for in its "
                 "place",
                 reader.source(),
                 shown(*value),
                 rope.attention_factor * factor,
                 rope.attention_factor);
}

// TRI-CONF-003: the two names of the type differ.
StatusOr<std::string> read_type(JsonReader& reader) {
  const std::string old_name = reader.string("type", "default");
  const std::string type = reader.string("rope_type", old_name);
  RETURN_IF_ERROR(reader.status());
  if (reader.has("rope_type") && reader.has("type") && type != old_name) {
    reader.fail("\"rope_type\" is \"{}\" and \"type\" is \"{}\"; remove one",
                type.substr(0, 40),
                old_name.substr(0, 40));
  }
  RETURN_IF_ERROR(reader.status());
  return type;
}

Status RopeReader::read_scaling(JsonReader& reader, const std::string& type, KindRope& found) {
  RopeConfig& rope = found.rope;
  if (type == "default") return check_default(reader);
  if (type != "linear" && type != "dynamic" && type != "llama3" && type != "yarn") {
    return invalid(
        "TRI-CONF-006",
        "{} has type \"{}\", supported are default, linear, dynamic, llama3 and yarn; use "
        "another checkpoint of the model",
        reader.source(),
        type.substr(0, 40));
  }
  // The context length before scaling. The key of the model takes precedence over that of the
  // scaling.
  const char* key = "original_max_position_embeddings";
  const int64_t original =
      top_.integer(key, 1, kMaxPositions, reader.integer(key, 1, kMaxPositions, max_positions_));
  RETURN_IF_ERROR(top_.status());
  const double ratio = static_cast<double>(max_positions_) / static_cast<double>(original);
  rope.factor = read_factor(reader, type, ratio);
  RETURN_IF_ERROR(reader.status());
  if (type == "dynamic") {
    // Up to max_position_embeddings its frequencies are those of default.
    rope.factor = 1;
    found.may_extend = false;
  } else if (type == "linear") {
    rope.scaling = RopeScaling::kLinear;
    extend(reader, static_cast<double>(original), found);
  } else if (type == "llama3") {
    rope.scaling = RopeScaling::kLlama3;
    rope.original_max_positions = original;
    read_llama3(reader, rope);
  } else {
    rope.scaling = RopeScaling::kYarn;
    rope.original_max_positions = original;
    read_yarn(reader, rope);
    RETURN_IF_ERROR(reader.status());
    RETURN_IF_ERROR(check_attn_factor(reader, rope));
    extend(reader, static_cast<double>(original), found);
  }
  return ok_status();
}

// Replaces what is found so far, except for its theta, by a flat rope object.
Status RopeReader::apply(JsonValue fields, const std::string& source, KindRope& found) {
  JsonReader reader(fields, "TRI-CONF-003", source);
  ASSIGN_OR_RETURN(const std::string type, read_type(reader));
  RETURN_IF_ERROR(check_rope_keys(reader, type));
  found = {{.theta = reader.number("rope_theta", 1e-3, 1e15, found.rope.theta)}, max_positions_};
  check_rotary_factor(reader);
  RETURN_IF_ERROR(read_scaling(reader, type, found));
  return reader.status();
}

// True if the members are kinds of layers, each with a rope object of its own or null.
bool is_nested(JsonValue fields) {
  bool nested = false;
  (void)fields.each_last_member([&](std::string_view name, JsonValue value) {
    nested |=
        name.ends_with("_attention") || (value.is(JsonValue::Kind::kObject) && !is_rope_key(name));
    return ok_status();
  });
  return nested;
}

// The rope object of a kind of layer. Beside the kinds only a theta for those that have none, and
// neutral keys may stand. TRI-CONF-003: the kind is absent or null; TRI-CONF-006: other keys.
StatusOr<JsonValue> member_of_kind(JsonReader& nested, const std::string& kind, double& theta) {
  std::vector<std::string> kinds;
  RETURN_IF_ERROR(
      nested.object().each_last_member([&](std::string_view name, JsonValue value) -> Status {
        const bool is_default =
            (name == "rope_type" || name == "type") && string_of(value) == "default";
        if (value.is(JsonValue::Kind::kObject)) kinds.emplace_back(name.substr(0, 40));
        const bool neutral = value.is(JsonValue::Kind::kObject) || is_off(value) || is_default ||
                             name == "rope_theta" ||
                             (name == "partial_rotary_factor" && is_number(value, 1));
        if (neutral) return ok_status();
        return invalid("TRI-CONF-006",
                       "{} has \"{}\" {} beside kinds of layers; put it into each kind",
                       nested.source(),
                       name.substr(0, 40),
                       shown(value));
      }));
  theta = nested.number("rope_theta", 1e-3, 1e15, theta);
  RETURN_IF_ERROR(nested.status());
  const auto member = nested.field(kind.c_str());
  if (member && member->is(JsonValue::Kind::kObject)) return *member;
  kinds.resize(std::min<size_t>(kinds.size(), 8));
  return invalid("TRI-CONF-003",
                 "{} has no \"{}\", which layers of this model need; it has {}",
                 nested.source(),
                 kind,
                 kinds.empty() ? "nothing" : join(kinds));
}

// "rope_parameters" first, for its theta. If both keys are present, "rope_scaling" was added by
// hand, as model cards recommend, and determines the scaling. An empty object is absent.
StatusOr<KindRope> RopeReader::read(const std::string& kind) {
  KindRope found = {{.theta = top_.number("rope_theta", 1e-3, 1e15, 10000)}, max_positions_};
  check_rotary_factor(top_);
  RETURN_IF_ERROR(top_.status());
  for (const char* key : {"rope_parameters", "rope_scaling"}) {
    const auto fields = top_.field(key);
    if (!fields) continue;
    if (!fields->is(JsonValue::Kind::kObject)) {
      return invalid("TRI-CONF-003", "{}: \"{}\" must be an object or null", top_.source(), key);
    }
    if (fields->count() == 0) continue;
    const std::string source = format_text("{}, {}", top_.source(), key);
    if (!is_nested(*fields)) {
      RETURN_IF_ERROR(apply(*fields, source, found));
      continue;
    }
    JsonReader nested(*fields, "TRI-CONF-003", source);
    ASSIGN_OR_RETURN(const JsonValue member, member_of_kind(nested, kind, found.rope.theta));
    RETURN_IF_ERROR(apply(member, format_text("{}.{}", source, kind), found));
  }
  return found;
}

}  // namespace

Status read_ropes(JsonReader& top, ModelConfig& config) {
  RopeReader reader(top, config.max_positions);
  const int64_t stated = config.max_positions;
  bool may_extend = true;
  config.ropes.clear();
  config.layer_rope.assign(config.num_layers, 0);
  for (const bool slides : {false, true}) {
    const auto is_of_kind = [&](int32_t window) { return (window > 0) == slides; };
    if (std::ranges::none_of(config.layer_window, is_of_kind)) continue;
    ASSIGN_OR_RETURN(const KindRope found,
                     reader.read(slides ? "sliding_attention" : "full_attention"));
    const auto same = std::ranges::find(config.ropes, found.rope);
    const auto index = static_cast<int32_t>(same - config.ropes.begin());
    if (same == config.ropes.end()) config.ropes.push_back(found.rope);
    for (int64_t layer = 0; layer < config.num_layers; ++layer) {
      if (is_of_kind(config.layer_window[layer])) config.layer_rope[layer] = index;
    }
    config.max_positions = std::max(config.max_positions, found.max_positions);
    may_extend &= found.may_extend;
  }
  if (!may_extend) config.max_positions = stated;
  return ok_status();
}

}  // namespace trireme
