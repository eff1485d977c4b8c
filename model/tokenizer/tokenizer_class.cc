#include "model/tokenizer/tokenizer_class.h"

#include <algorithm>

#include "model/tokenizer/sequence_reader.h"

namespace trireme {
namespace {

constexpr std::string_view kMark = "\xE2\x96\x81";  // U+2581, a space in SentencePiece

// Classes that set add_prefix_space of ByteLevel and have their own normalizer and pre-tokenizer:
// their steps as steps_of() writes them. Published files mostly have the same.
struct ByteLevelClass {
  std::string_view name;
  std::string_view steps;
};
constexpr ByteLevelClass kByteLevelClasses[] = {
    {"CodeGenTokenizer", "ByteLevel\n"},
    {"CohereTokenizer", "NFC\nDigits\nByteLevel\n"},
    {"GPT2Tokenizer", "ByteLevel\n"},
    {"GPTNeoXTokenizer", "NFC\nByteLevel\n"},
    {"Qwen2Tokenizer",
     "NFC\n(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}| "
     "?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+\nByteLevel without regex\n"},
    {"Qwen3_5Tokenizer",
     "NFC\n(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?[\\p{L}\\p{M}]+|\\p{N}| "
     "?[^\\s\\p{L}\\p{M}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+\n"
     "ByteLevel without regex\n"},
    {"RobertaTokenizer", "ByteLevel\n"},
    {"WhisperTokenizer", "ByteLevel\n"}};
constexpr std::string_view kLlama = "LlamaTokenizer";
constexpr std::string_view kCodeLlama = "CodeLlamaTokenizer";
constexpr std::string_view kGemma = "GemmaTokenizer";

const ByteLevelClass* byte_level_class(std::string_view name) {
  const auto* const row = std::find_if(
      std::begin(kByteLevelClasses), std::end(kByteLevelClasses), [&](const ByteLevelClass& each) {
        return each.name == name;
      });
  return row == std::end(kByteLevelClasses) ? nullptr : row;
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

// The line on a class whose own normalizer and pre-tokenizer are not those of the file.
std::string note_on(std::string_view name) {
  return format_text(
      "AutoTokenizer uses {}, which splits texts differently; Trireme uses the normalizer and the "
      "pre-tokenizer of the file",
      name);
}

std::string metaspace(const char* prepend_scheme) {
  return R"({"type":"Metaspace","split":false,"replacement":")" + std::string(kMark) +
         R"(","prepend_scheme":")" + prepend_scheme + "\"}";
}

std::string llama_decoder(bool strips) {
  return R"({"type":"Sequence","decoders":[{"type":"Replace","content":" ","pattern":{"String":")" +
         std::string(kMark) + R"("}},{"type":"ByteFallback"},{"type":"Fuse"})" +
         (strips ? R"(,{"type":"Strip","content":" ","start":1,"stop":0}]})" : "]}");
}

// Where the file is not what the class is made for, its steps count.
StatusOr<PrefixRule> llama_rule(std::string_view name,
                                const TokenizerSettings& settings,
                                const JsonFields& file) {
  PrefixRule rule;
  ASSIGN_OR_RETURN(const bool applies, only_marks_spaces(file));
  if (!applies) {
    rule.note = note_on(name);
    return rule;
  }
  const bool prefix = settings.add_prefix_space.value_or(true);
  const bool each_time = name == kLlama && settings.legacy_prefix;
  const char* const with_prefix = each_time ? "always" : "first";
  rule.metaspace = metaspace(prefix ? with_prefix : "never");
  if (name == kCodeLlama) {
    rule.decoder = llama_decoder(true);
  } else if (!prefix || !file.find("decoder")) {
    rule.decoder = llama_decoder(prefix);
  }
  return rule;
}

}  // namespace

bool sets_byte_level(std::string_view name) { return byte_level_class(name) != nullptr; }

StatusOr<PrefixRule> prefix_rule(std::string_view name,
                                 const TokenizerSettings& settings,
                                 const JsonFields& file) {
  if (name == kLlama || name == kCodeLlama) return llama_rule(name, settings, file);
  PrefixRule rule;
  if (const ByteLevelClass* row = byte_level_class(name)) {
    rule.byte_level = settings.add_prefix_space.value_or(false);
    ASSIGN_OR_RETURN(const std::string steps, steps_of(file));
    if (steps != row->steps) rule.note = note_on(name);
  } else if (name == kGemma) {
    // The Split at spaces finds none after the Replace; older files leave it out.
    ASSIGN_OR_RETURN(const std::string steps, steps_of(file));
    if (steps != "Replace\n" && steps != "Replace\nSplit\n") rule.note = note_on(name);
  }
  return rule;
}

}  // namespace trireme
