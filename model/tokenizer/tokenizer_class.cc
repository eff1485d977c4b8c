#include "model/tokenizer/tokenizer_class.h"

#include <algorithm>

#include "model/tokenizer/sequence_reader.h"

namespace trireme {
namespace {

constexpr std::string_view kMark = "\xE2\x96\x81";  // U+2581, a space in SentencePiece

// Classes that set add_prefix_space of ByteLevel; Fast at the end of a name means nothing.
constexpr std::string_view kByteLevelClasses[] = {"Qwen2Tokenizer",
                                                  "Qwen3_5Tokenizer",
                                                  "GPT2Tokenizer",
                                                  "GPTNeoXTokenizer",
                                                  "CohereTokenizer",
                                                  "CodeGenTokenizer",
                                                  "RobertaTokenizer",
                                                  "BartTokenizer",
                                                  "WhisperTokenizer"};
// Two of them replace normalizer and pre-tokenizer by their own; published files have the same.
constexpr std::string_view kQwen2 = "Qwen2Tokenizer";
constexpr std::string_view kQwen2Pattern =
    "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}| "
    "?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";
constexpr std::string_view kGpt2 = "GPT2Tokenizer";
constexpr std::string_view kLlama = "LlamaTokenizer";
constexpr std::string_view kFileAlone = "";  // the class that takes tokenizer.json as it is

// The class of a model type. tokenizer_class of tokenizer_config.json replaces it, unless it stands
// for a model type whose published files name a wrong one, or the type takes the file alone.
struct ModelType {
  std::string_view type;
  std::string_view name;
  bool is_forced = false;
};
constexpr ModelType kModelTypes[] = {{"cohere", "CohereTokenizer"},
                                     {"cohere2", "CohereTokenizer"},
                                     {"gemma", "GemmaTokenizer"},
                                     {"gemma2", "GemmaTokenizer"},
                                     {"gemma3", "GemmaTokenizer"},
                                     {"gemma3_text", "GemmaTokenizer"},
                                     {"glm4", kFileAlone},
                                     {"gpt2", "GPT2Tokenizer"},
                                     {"gpt_neox", "GPTNeoXTokenizer"},
                                     {"granite", kFileAlone},
                                     {"ministral", kFileAlone},
                                     {"ministral3", kFileAlone},
                                     {"mistral", kFileAlone},
                                     {"mistral3", kFileAlone},
                                     {"mixtral", kFileAlone},
                                     {"olmo2", kFileAlone},
                                     {"opt", "GPT2Tokenizer"},
                                     {"phi3", kFileAlone},
                                     {"qwen2", "Qwen2Tokenizer", true},
                                     {"qwen2_moe", "Qwen2Tokenizer"},
                                     {"qwen3", "Qwen2Tokenizer"},
                                     {"qwen3_5", "Qwen3_5Tokenizer", true},
                                     {"qwen3_5_text", "Qwen3_5Tokenizer", true},
                                     {"qwen3_moe", "Qwen2Tokenizer"}};

std::string_view class_of(const TokenizerSettings& settings) {
  std::string_view name = settings.tokenizer_class;
  if (name.ends_with("Fast")) name.remove_suffix(4);
  const auto* const row =
      std::find_if(std::begin(kModelTypes), std::end(kModelTypes), [&](const ModelType& each) {
        return each.type == settings.model_type;
      });
  if (row == std::end(kModelTypes)) return name;
  return row->is_forced || row->name == kFileAlone || name.empty() ? row->name : name;
}

bool is_text(const JsonFields& fields, std::string_view name, std::string_view wanted) {
  const JsonValue* value = fields.find(name);
  return value && value->is(JsonValue::Kind::kString) && value->string() == wanted;
}

bool replaces_space(const JsonFields& step) {
  const JsonValue* pattern = step.find("pattern");
  if (!pattern || !pattern->is(JsonValue::Kind::kObject) || !is_text(step, "content", kMark)) {
    return false;
  }
  const auto text = pattern->find("String");
  return text && text->is(JsonValue::Kind::kString) && text->string() == " ";
}

// Whether normalizer and pre-tokenizer only write spaces as U+2581, with or without one in front.
StatusOr<bool> only_marks_spaces(const JsonFields& file) {
  bool marks = false;
  bool other = false;
  if (const JsonValue* value = file.find("normalizer")) {
    RETURN_IF_ERROR(each_step(*value,
                              {"normalizer", "normalizers", "TRI-TOK-008"},
                              [&](const JsonFields& step, const std::string& type) {
                                const bool replaces = type == "Replace" && replaces_space(step);
                                const bool prepends =
                                    type == "Prepend" && is_text(step, "prepend", kMark);
                                marks = marks || replaces;
                                other = other || !(replaces || prepends);
                                return ok_status();
                              }));
  }
  if (const JsonValue* value = file.find("pre_tokenizer")) {
    RETURN_IF_ERROR(each_step(*value,
                              {"pre_tokenizer", "pretokenizers", "TRI-TOK-009"},
                              [&](const JsonFields& step, const std::string& type) {
                                const bool is_metaspace =
                                    type == "Metaspace" && is_text(step, "replacement", kMark);
                                marks = marks || is_metaspace;
                                other = other || !is_metaspace;
                                return ok_status();
                              }));
  }
  return marks && !other;
}

// The steps of normalizer and pre-tokenizer, each as "type" or, of a Split, as its pattern.
StatusOr<std::string> steps_of(const JsonFields& file) {
  std::string steps;
  const auto add = [&](const JsonFields& step, const std::string& type) {
    const JsonValue* pattern = type == "Split" ? step.find("pattern") : nullptr;
    const bool is_object = pattern && pattern->is(JsonValue::Kind::kObject);
    const auto regex = is_object ? pattern->find("Regex") : std::nullopt;
    steps += regex && regex->is(JsonValue::Kind::kString) ? regex->string() : type;
    const JsonValue* flag = type == "ByteLevel" ? step.find("use_regex") : nullptr;
    if (flag && flag->is(JsonValue::Kind::kBoolean) && !flag->boolean()) steps += " without regex";
    steps += '\n';
    return ok_status();
  };
  if (const JsonValue* value = file.find("normalizer")) {
    RETURN_IF_ERROR(each_step(*value, {"normalizer", "normalizers", "TRI-TOK-008"}, add));
  }
  if (const JsonValue* value = file.find("pre_tokenizer")) {
    RETURN_IF_ERROR(each_step(*value, {"pre_tokenizer", "pretokenizers", "TRI-TOK-009"}, add));
  }
  return steps;
}

StatusOr<std::string> note_on(std::string_view name, const JsonFields& file) {
  if (name != kQwen2 && name != kGpt2) return std::string();
  ASSIGN_OR_RETURN(const std::string steps, steps_of(file));
  const std::string of_class =
      name == kGpt2 ? "ByteLevel\n"
                    : format_text("NFC\n{}\nByteLevel without regex\n", kQwen2Pattern);
  if (steps == of_class) return std::string();
  return format_text(
      "AutoTokenizer uses {}, which splits texts differently; Trireme uses the normalizer and the "
      "pre-tokenizer of the file",
      name);
}

}  // namespace

StatusOr<PrefixRule> prefix_rule(const TokenizerSettings& settings,
                                 const JsonFields& file,
                                 std::string_view json) {
  PrefixRule rule;
  const std::string_view name = class_of(settings);
  if (std::find(std::begin(kByteLevelClasses), std::end(kByteLevelClasses), name) !=
      std::end(kByteLevelClasses)) {
    rule.byte_level = settings.add_prefix_space.value_or(false);
    ASSIGN_OR_RETURN(rule.note, note_on(name, file));
    return rule;
  }
  // The name of this class stands in files of byte-level models too, whose file counts alone.
  if (name != kLlama || json.find("\"ByteLevel\"") != std::string_view::npos) return rule;
  ASSIGN_OR_RETURN(const bool applies, only_marks_spaces(file));
  if (!applies) return rule;
  const bool prefix = settings.add_prefix_space.value_or(true);
  const char* const with_prefix = settings.legacy_prefix ? "always" : "first";
  rule.metaspace = R"({"type":"Metaspace","split":false,"replacement":")" + std::string(kMark) +
                   R"(","prepend_scheme":")" + (prefix ? with_prefix : "never") + "\"}";
  if (prefix && file.find("decoder")) return rule;
  rule.decoder = R"({"type":"Sequence","decoders":[{"type":"Replace","content":" ",)"
                 R"("pattern":{"String":")" +
                 std::string(kMark) + R"("}},{"type":"ByteFallback"},{"type":"Fuse"})" +
                 (prefix ? R"(,{"type":"Strip","content":" ","start":1,"stop":0}]})" : "]}");
  return rule;
}

}  // namespace trireme
