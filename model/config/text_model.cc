#include "model/config/text_model.h"

#include <vector>

#include "model/json_reader.h"

namespace trireme {

namespace {

// The model_type of a text_config that does not state it, by the wrapper's model_type.
constexpr struct {
  const char* wrapper;
  const char* inner;
} kInnerTypes[] = {{"audioflamingo3", "qwen2"},
                   {"deepseek_vl", "llama"},
                   {"got_ocr2", "qwen2"},
                   {"idefics2", "mistral"},
                   {"idefics3", "llama"},
                   {"internvl", "qwen2"},
                   {"janus", "llama"},
                   {"lighton_ocr", "qwen3"},
                   {"llava", "llama"},
                   {"llava_next", "llama"},
                   {"llava_next_video", "llama"},
                   {"llava_onevision", "qwen2"},
                   {"mistral3", "mistral"},
                   {"ovis2", "qwen2"},
                   {"perception_lm", "llama"},
                   {"qwen2_audio", "qwen2"},
                   {"smolvlm", "llama"},
                   {"video_llava", "llama"},
                   {"vipllava", "llama"},
                   {"voxtral", "llama"}};

std::string string_of(std::optional<JsonValue> value) {
  return value && value->is(JsonValue::Kind::kString) ? value->string() : "";
}

std::string inner_type(JsonValue text_config, const std::string& wrapper) {
  const auto stated = text_config.find("model_type");
  if (stated && !stated->is(JsonValue::Kind::kNull)) return string_of(stated);
  for (const auto& row : kInnerTypes) {
    if (wrapper == row.wrapper) return row.inner;
  }
  return "";
}

Status unsupported_family(JsonValue fields, const std::string& source) {
  const auto words = [&](const char* key) {
    const auto value = fields.find(key);
    return value ? shown(*value) : std::string("missing");
  };
  return invalid("TRI-CONF-004",
                 "{}: \"model_type\" is {} (\"architectures\" {}), supported are {}",
                 source,
                 words("model_type"),
                 words("architectures"),
                 supported_families());
}

bool generates_text(const std::string& architecture, bool wrapped) {
  return architecture.ends_with("ForCausalLM") || architecture.ends_with("LMHeadModel") ||
         (wrapped && architecture.ends_with("ForConditionalGeneration"));
}

// The class that the checkpoint was saved from says what it is trained for. An absent or empty list
// says nothing; of several entries, all have to generate text.
Status check_task(const JsonReader& outer, bool wrapped) {
  const auto stated = outer.field("architectures");
  if (!stated) return ok_status();
  bool generates = true;
  const auto add = [&](JsonValue entry) {
    generates &= generates_text(string_of(entry), wrapped);
    return ok_status();
  };
  (void)(stated->is(JsonValue::Kind::kArray) ? stated->each(add) : add(*stated));
  if (generates) return ok_status();
  return invalid("TRI-CONF-011",
                 "{}: \"architectures\" is {}; supported are models that generate text: names that "
                 "end in ForCausalLM or LMHeadModel{}; use a checkpoint of such a model",
                 outer.source(),
                 shown(*stated),
                 wrapped ? " or ForConditionalGeneration" : "");
}

}  // namespace

StatusOr<TextModel> find_text_model(const JsonReader& outer) {
  const std::string type = string_of(outer.field("model_type"));
  if (const Family* family = find_family(type)) {
    RETURN_IF_ERROR(check_task(outer, false));
    return TextModel{outer.object(), outer.source(), family, false};
  }
  const auto inner = outer.field("text_config");
  if (!inner) return unsupported_family(outer.object(), outer.source());
  const std::string source = format_text("{}, text_config", outer.source());
  if (!inner->is(JsonValue::Kind::kObject)) {
    return invalid("TRI-CONF-003", "{} is {}, allowed is an object", source, shown(*inner));
  }
  const Family* family = find_family(inner_type(*inner, type));
  if (family == nullptr) {
    return invalid("TRI-CONF-004",
                   "{}: \"model_type\" is {} inside \"model_type\" {}, supported are {}",
                   source,
                   inner->find("model_type") ? shown(*inner->find("model_type")) : "missing",
                   outer.has("model_type") ? shown(*outer.field("model_type")) : "missing",
                   supported_families());
  }
  RETURN_IF_ERROR(check_task(outer, true));
  return TextModel{*inner, source, family, true};
}

}  // namespace trireme
