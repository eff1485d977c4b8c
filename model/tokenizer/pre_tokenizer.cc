#include "model/tokenizer/pre_tokenizer.h"

#include "model/tokenizer/limits.h"
#include "model/tokenizer/sequence_reader.h"
#include "model/tokenizer/split.h"

namespace trireme {
namespace {

// The pattern of GPT-2, for ByteLevel with use_regex.
constexpr std::string_view kGpt2Pattern =
    "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+";

// Rebuilds the text word by word; `append` writes the new form of a word.
template <class Append>
void rebuild(Words& words, Append append) {
  std::string text;
  text.reserve(words.text.size() + words.words.size());
  for (Words::Word& word : words.words) {
    const std::string_view view = words.view(word);
    const uint32_t begin = static_cast<uint32_t>(text.size());
    append(view, word, text);
    word.begin = begin;
    word.end = static_cast<uint32_t>(text.size());
  }
  words.text = std::move(text);
}

Status split_all(Words& words,
                 const Pattern& pattern,
                 SplitBehavior behavior,
                 bool invert,
                 RegexScratch& scratch) {
  std::vector<Words::Word> parts;
  parts.reserve(words.words.size() + words.text.size() / 4);
  std::vector<Match> matches;
  for (const Words::Word& word : words.words) {
    RETURN_IF_ERROR(pattern.find_all(words.view(word), scratch, matches));
    split_word(word, matches, behavior, invert, parts);
  }
  words.words = std::move(parts);
  return ok_status();
}

bool in_class(char32_t code, SplitByClass::Class wanted) {
  switch (wanted) {
    case SplitByClass::Class::kSpace:
      return is_space(code);
    case SplitByClass::Class::kNumber:
      return is_number(code);
    default:
      return is_punctuation(code);
  }
}

struct SplitStep {
  Words& words;
  const ByteAlphabet& alphabet;
  RegexScratch& scratch;

  Status operator()(const SplitByPattern& step) {
    return split_all(words, step.pattern, step.behavior, step.invert, scratch);
  }

  Status operator()(const SplitByClass& step) {
    std::vector<Words::Word> parts;
    std::vector<Match> matches;
    for (const Words::Word& word : words.words) {
      matches.clear();
      const std::string_view text = words.view(word);
      for (uint32_t at = 0; at < text.size();) {
        const Utf8Step character = utf8_step(text.substr(at));
        const uint32_t end = at + character.length;
        if (in_class(character.code, step.character_class)) matches.push_back({at, end});
        at = end;
      }
      split_word(word, matches, step.behavior, false, parts);
    }
    words.words = std::move(parts);
    return ok_status();
  }

  Status operator()(const AddPrefixSpace&) {
    rebuild(words, [](std::string_view view, const Words::Word&, std::string& text) {
      if (view[0] != ' ') text += ' ';
      text.append(view);
    });
    return ok_status();
  }

  Status operator()(const MapBytes&) {
    rebuild(words, [this](std::string_view view, const Words::Word&, std::string& text) {
      for (const uint8_t byte : view) text.append(alphabet.character(byte));
    });
    return ok_status();
  }

  Status operator()(const Metaspace& step) {
    rebuild(words, [&](std::string_view view, const Words::Word& word, std::string& text) {
      const bool wanted = step.scheme == PrependScheme::kAlways ||
                          (step.scheme == PrependScheme::kFirst && word.at_start);
      if (wanted && view[0] != ' ' && !view.starts_with(step.replacement)) text += step.replacement;
      for (const char byte : view) {
        if (byte == ' ') {
          text += step.replacement;
        } else {
          text += byte;
        }
      }
    });
    if (!step.split) return ok_status();
    return split_all(
        words, Pattern::text(step.replacement), SplitBehavior::kMergedWithNext, false, scratch);
  }
};

using Steps = std::vector<PreTokenizerStep>;

StatusOr<SplitBehavior> read_behavior(const JsonFields& fields) {
  ASSIGN_OR_RETURN(const std::string name, fields.string("behavior"));
  if (name == "Removed") return SplitBehavior::kRemoved;
  if (name == "Isolated") return SplitBehavior::kIsolated;
  if (name == "MergedWithPrevious") return SplitBehavior::kMergedWithPrevious;
  if (name == "MergedWithNext") return SplitBehavior::kMergedWithNext;
  if (name == "Contiguous") return SplitBehavior::kContiguous;
  return invalid("TRI-TOK-009",
                 "{}.behavior is \"{}\"; supported are Removed, Isolated, MergedWithPrevious, "
                 "MergedWithNext, Contiguous",
                 fields.where(),
                 name.substr(0, 80));
}

// A field that must hold exactly one character.
StatusOr<std::string> read_character(const JsonFields& fields, std::string_view name) {
  ASSIGN_OR_RETURN(std::string text, fields.string(name));
  if (text.empty() || utf8_step(text).length != text.size()) {
    return invalid("TRI-TOK-009", "{}.{} must be one character", fields.where(), name);
  }
  return text;
}

Status read_metaspace(const JsonFields& fields, Steps& steps) {
  Metaspace step;
  ASSIGN_OR_RETURN(step.replacement, read_character(fields, "replacement"));
  ASSIGN_OR_RETURN(step.split, fields.boolean_or("split", true));
  ASSIGN_OR_RETURN(const bool prefix, fields.boolean_or("add_prefix_space", true));
  ASSIGN_OR_RETURN(const std::string scheme,
                   fields.string_or("prepend_scheme", prefix ? "always" : "never"));
  if (scheme == "first") {
    step.scheme = PrependScheme::kFirst;
  } else if (scheme == "never") {
    step.scheme = PrependScheme::kNever;
  } else if (scheme != "always") {
    return invalid("TRI-TOK-009",
                   "{}.prepend_scheme is \"{}\"; supported are first, never, always",
                   fields.where(),
                   scheme.substr(0, 80));
  }
  if (!prefix && step.scheme != PrependScheme::kNever) {
    return invalid("TRI-TOK-009",
                   "{} has add_prefix_space false but prepend_scheme {}; they must agree",
                   fields.where(),
                   scheme);
  }
  steps.emplace_back(std::move(step));
  return ok_status();
}

Status add_pattern(std::string_view expression, SplitBehavior behavior, bool invert, Steps& steps) {
  ASSIGN_OR_RETURN(Pattern pattern, Pattern::regex(expression));
  steps.emplace_back(SplitByPattern{std::move(pattern), behavior, invert});
  return ok_status();
}

Status read_byte_level(const JsonFields& fields,
                       std::optional<bool> add_prefix_space,
                       Steps& steps) {
  ASSIGN_OR_RETURN(const bool of_file, fields.boolean_or("add_prefix_space", true));
  const bool prefix = add_prefix_space.value_or(of_file);
  ASSIGN_OR_RETURN(const bool use_regex, fields.boolean_or("use_regex", true));
  if (prefix) steps.emplace_back(AddPrefixSpace{});
  if (use_regex) {
    RETURN_IF_ERROR(add_pattern(kGpt2Pattern, SplitBehavior::kIsolated, false, steps));
  }
  steps.emplace_back(MapBytes{});
  return ok_status();
}

Status read_split(const JsonFields& fields, Steps& steps) {
  ASSIGN_OR_RETURN(const JsonValue field, fields.at("pattern"));
  ASSIGN_OR_RETURN(Pattern pattern, Pattern::read(field, fields.where() + ".pattern"));
  ASSIGN_OR_RETURN(const SplitBehavior behavior, read_behavior(fields));
  ASSIGN_OR_RETURN(const bool invert, fields.boolean_or("invert", false));
  steps.emplace_back(SplitByPattern{std::move(pattern), behavior, invert});
  return ok_status();
}

Status read_digits(const JsonFields& fields, Steps& steps) {
  ASSIGN_OR_RETURN(const bool individual, fields.boolean_or("individual_digits", false));
  steps.emplace_back(
      SplitByClass{SplitByClass::Class::kNumber,
                   individual ? SplitBehavior::kIsolated : SplitBehavior::kContiguous});
  return ok_status();
}

Status read_punctuation(const JsonFields& fields, Steps& steps) {
  SplitBehavior behavior = SplitBehavior::kIsolated;
  if (fields.find("behavior")) {
    ASSIGN_OR_RETURN(behavior, read_behavior(fields));
  }
  steps.emplace_back(SplitByClass{SplitByClass::Class::kPunctuation, behavior});
  return ok_status();
}

Status read_step(const JsonFields& fields, const std::string& type, Steps& steps) {
  if (type == "Split") return read_split(fields, steps);
  if (type == "Metaspace") return read_metaspace(fields, steps);
  if (type == "Digits") return read_digits(fields, steps);
  if (type == "Punctuation") return read_punctuation(fields, steps);
  if (type == "Whitespace") {
    return add_pattern("\\w+|[^\\w\\s]+", SplitBehavior::kRemoved, true, steps);
  }
  if (type == "CharDelimiterSplit") {
    ASSIGN_OR_RETURN(const std::string delimiter, read_character(fields, "delimiter"));
    steps.emplace_back(SplitByPattern{Pattern::text(delimiter), SplitBehavior::kRemoved, false});
    return ok_status();
  }
  if (type == "WhitespaceSplit" || type == "BertPreTokenizer") {
    steps.emplace_back(SplitByClass{SplitByClass::Class::kSpace, SplitBehavior::kRemoved});
    return type == "WhitespaceSplit" ? ok_status() : read_punctuation(fields, steps);
  }
  return invalid(
      "TRI-TOK-009",
      "pre-tokenizer \"{}\" is not supported; supported are ByteLevel, Split, Metaspace, Digits, "
      "Punctuation, Whitespace, WhitespaceSplit, CharDelimiterSplit, BertPreTokenizer, Sequence",
      type.substr(0, 80));
}

}  // namespace

StatusOr<PreTokenizer> PreTokenizer::read(JsonValue value, std::optional<bool> add_prefix_space) {
  PreTokenizer result;
  RETURN_IF_ERROR(each_step(
      value,
      {"pre_tokenizer", "pretokenizers", "TRI-TOK-009"},
      [&](const JsonFields& fields, const std::string& type) {
        if (result.steps_.size() >= kMaxSteps) {  // one may become several
          return invalid("TRI-TOK-009", "pre_tokenizer has more than {} steps", kMaxSteps);
        }
        if (type == "ByteLevel") return read_byte_level(fields, add_prefix_space, result.steps_);
        return read_step(fields, type, result.steps_);
      }));
  if (!result.steps_.empty() && std::holds_alternative<MapBytes>(result.steps_.back())) {
    result.steps_.pop_back();
    result.words_are_bytes_ = true;
  }
  return result;
}

StatusOr<Words> PreTokenizer::split(std::string text, bool at_start, RegexScratch& scratch) const {
  Words words{std::move(text), {}};
  if (!words.text.empty()) {
    words.words.push_back({0, static_cast<uint32_t>(words.text.size()), at_start});
  }
  for (const PreTokenizerStep& step : steps_) {
    if (words.text.size() > kMaxNormalizedBytes) {
      return invalid(
          "TRI-TOK-015",
          "the text grows to {} bytes in the pre-tokenizer; at most {} are supported; shorten it",
          words.text.size(),
          kMaxNormalizedBytes);
    }
    RETURN_IF_ERROR(std::visit(SplitStep{words, alphabet_, scratch}, step));
  }
  return words;
}

}  // namespace trireme
