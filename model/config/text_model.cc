#include "model/config/text_model.h"

#include <algorithm>
#include <string_view>
#include <vector>

#include "model/json_reader.h"

namespace trireme {

namespace {

// The wrappers whose text_config can be of a supported family without a model_type, as the
// reference implementation's configuration classes have it.
constexpr Wrapper kWrappers[] = {
    {.model_type = "audioflamingo3", .inner_type = "qwen2"},
    {.model_type = "deepseek_vl", .inner_type = "llama", .ties = true},
    {.model_type = "deepseek_vl_hybrid", .inner_type = "llama", .ties = true},
    {.model_type = "fast_vlm", .inner_type = "qwen2"},
    {.model_type = "fun_asr_nano", .inner_type = "qwen3", .ties = true},
    {.model_type = "glmasr", .inner_type = "llama", .ties = true, .has_own_defaults = true},
    {.model_type = "got_ocr2", .inner_type = "qwen2", .ties = true},
    {.model_type = "idefics2", .inner_type = "mistral"},
    {.model_type = "idefics3", .inner_type = "llama"},
    {.model_type = "internvl", .inner_type = "qwen2", .ties = true},
    {.model_type = "janus", .inner_type = "llama", .ties = true},
    {.model_type = "lighton_ocr", .inner_type = "qwen3", .ties = true},
    {.model_type = "llava", .inner_type = "llama"},
    {.model_type = "llava_next", .inner_type = "llama"},
    {.model_type = "llava_next_video", .inner_type = "llama"},
    {.model_type = "llava_onevision", .inner_type = "qwen2"},
    {.model_type = "mistral3", .inner_type = "mistral", .ties = true},
    {.model_type = "moss_transcribe_diarize", .inner_type = "qwen3", .ties = true},
    {.model_type = "musicflamingo", .inner_type = "qwen2"},
    {.model_type = "omniasr", .inner_type = "llama"},
    {.model_type = "ovis2", .inner_type = "qwen2", .ties = true},
    {.model_type = "perception_lm", .inner_type = "llama"},
    {.model_type = "pp_chart2table", .inner_type = "qwen2", .ties = true},
    {.model_type = "qianfan_ocr", .inner_type = "qwen3"},
    {.model_type = "qwen2_audio", .inner_type = "qwen2"},
    {.model_type = "qwen3_asr", .inner_type = "qwen3", .ties = true},
    {.model_type = "smolvlm", .inner_type = "llama"},
    {.model_type = "vibevoice", .inner_type = "qwen2"},
    {.model_type = "vibevoice_asr", .inner_type = "qwen2"},
    {.model_type = "video_llama_3", .inner_type = "qwen2"},
    {.model_type = "video_llava", .inner_type = "llama"},
    {.model_type = "vipllava", .inner_type = "llama"},
    {.model_type = "voxtral", .inner_type = "llama", .has_own_defaults = true}};

const Wrapper* find_wrapper(const std::string& model_type) {
  const auto* found = std::ranges::find(kWrappers, model_type, &Wrapper::model_type);
  return found == std::end(kWrappers) ? nullptr : found;
}

std::string inner_type(JsonValue text_config, const Wrapper* wrapper) {
  const auto stated = text_config.find("model_type");
  if (stated && !stated->is(JsonValue::Kind::kNull)) return string_of(stated);
  return wrapper == nullptr ? "" : wrapper->inner_type;
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
    return TextModel{outer.object(), outer.source(), family, false, nullptr};
  }
  const auto inner = outer.field("text_config");
  if (!inner) return unsupported_family(outer.object(), outer.source());
  const std::string source = format_text("{}, text_config", outer.source());
  if (!inner->is(JsonValue::Kind::kObject)) {
    return invalid("TRI-CONF-003", "{} is {}, allowed is an object", source, shown(*inner));
  }
  const Wrapper* wrapper = find_wrapper(type);
  const Family* family = find_family(inner_type(*inner, wrapper));
  if (family == nullptr) {
    return invalid("TRI-CONF-004",
                   "{}: \"model_type\" is {} inside \"model_type\" {}, supported are {}",
                   source,
                   inner->find("model_type") ? shown(*inner->find("model_type")) : "missing",
                   outer.has("model_type") ? shown(*outer.field("model_type")) : "missing",
                   supported_families());
  }
  RETURN_IF_ERROR(check_task(outer, true));
  return TextModel{*inner, source, family, true, wrapper};
}

}  // namespace trireme
