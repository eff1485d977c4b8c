#include "model/tokenizer/normalizer.h"

#include <utf8proc.h>

#include <cstdlib>

#include "model/tokenizer/limits.h"
#include "model/tokenizer/sequence_reader.h"
#include "model/tokenizer/unicode.h"

namespace trireme {
namespace {

constexpr size_t kMaxInsertBytes = 1024;  // text inserted by one Prepend or Replace

std::string to_form(const std::string& text, UnicodeForm form) {
  int options = UTF8PROC_STABLE;
  options |= form == UnicodeForm::kNfc || form == UnicodeForm::kNfkc ? UTF8PROC_COMPOSE
                                                                     : UTF8PROC_DECOMPOSE;
  if (form == UnicodeForm::kNfkc || form == UnicodeForm::kNfkd) options |= UTF8PROC_COMPAT;
  bool ascii = true;
  for (const char byte : text) ascii = ascii && static_cast<uint8_t>(byte) < 0x80;
  if (ascii) return text;
  utf8proc_uint8_t* mapped = nullptr;
  const utf8proc_ssize_t size = utf8proc_map(reinterpret_cast<const utf8proc_uint8_t*>(text.data()),
                                             text.size(),
                                             &mapped,
                                             static_cast<utf8proc_option_t>(options));
  const std::unique_ptr<utf8proc_uint8_t, decltype(&std::free)> owner(mapped, &std::free);
  if (size < 0) return text;  // only if out of memory: the text is valid UTF-8
  return std::string(reinterpret_cast<const char*>(mapped), size);
}

template <class Change>
std::string each_character(const std::string& text, Change change) {
  std::string out;
  out.reserve(text.size());
  for (std::string_view rest = text; !rest.empty();) {
    const Utf8Step step = utf8_step(rest);
    change(step.code, out);
    rest.remove_prefix(step.length);
  }
  return out;
}

std::string strip(std::string_view text, const StripSpaces& sides) {
  while (sides.left && !text.empty() && is_space(utf8_step(text).code)) {
    text.remove_prefix(utf8_step(text).length);
  }
  while (sides.right && !text.empty() && is_space(utf8_last(text).code)) {
    text.remove_suffix(utf8_last(text).length);
  }
  return std::string(text);
}

StatusOr<std::string> replace(const std::string& text,
                              const ReplaceMatches& step,
                              RegexScratch& scratch) {
  std::vector<Match> matches;
  RETURN_IF_ERROR(step.pattern.find_all(text, scratch, matches));
  if (matches.empty()) return text;
  std::string out;
  const size_t bound = text.size() + matches.size() * step.content.size();
  if (bound > kMaxNormalizedBytes) {
    return invalid("TRI-TOK-015",
                   "the text grows to {} bytes by a Replace; at most {} are supported; shorten it",
                   bound,
                   kMaxNormalizedBytes);
  }
  out.reserve(bound);
  size_t at = 0;
  for (const Match& match : matches) {
    out.append(text, at, match.begin - at).append(step.content);
    at = match.end;
  }
  return out.append(text, at);
}

struct Apply {
  std::string text;
  RegexScratch& scratch;

  StatusOr<std::string> operator()(UnicodeForm form) { return to_form(text, form); }
  StatusOr<std::string> operator()(const PrependText& step) {
    return text.empty() ? text : step.text + text;
  }
  StatusOr<std::string> operator()(const ReplaceMatches& step) {
    return replace(text, step, scratch);
  }
  StatusOr<std::string> operator()(const Lowercase&) {
    return each_character(text, [](char32_t code, std::string& out) {
      if (code == 0x130) {
        out += "i\xCC\x87";  // the only lower-case form of two characters
      } else {
        append_utf8(utf8proc_tolower(static_cast<utf8proc_int32_t>(code)), out);
      }
    });
  }
  StatusOr<std::string> operator()(const StripAccents&) {
    return each_character(text, [](char32_t code, std::string& out) {
      const int category = utf8proc_category(static_cast<utf8proc_int32_t>(code));
      const bool mark = category >= UTF8PROC_CATEGORY_MN && category <= UTF8PROC_CATEGORY_ME;
      if (!mark) append_utf8(code, out);
    });
  }
  StatusOr<std::string> operator()(const StripSpaces& sides) { return strip(text, sides); }
};

StatusOr<std::string> short_string(const JsonFields& fields, std::string_view name) {
  ASSIGN_OR_RETURN(std::string text, fields.string(name));
  if (text.size() > kMaxInsertBytes) {
    return invalid("TRI-TOK-008",
                   "{}.{} has {} bytes; at most {} are supported",
                   fields.where(),
                   name,
                   text.size(),
                   kMaxInsertBytes);
  }
  return text;
}

Status read_step(const JsonFields& fields,
                 const std::string& type,
                 std::vector<NormalizerStep>& steps) {
  if (type == "NFC") return steps.emplace_back(UnicodeForm::kNfc), ok_status();
  if (type == "NFD") return steps.emplace_back(UnicodeForm::kNfd), ok_status();
  if (type == "NFKC") return steps.emplace_back(UnicodeForm::kNfkc), ok_status();
  if (type == "NFKD") return steps.emplace_back(UnicodeForm::kNfkd), ok_status();
  if (type == "Lowercase") return steps.emplace_back(Lowercase{}), ok_status();
  if (type == "StripAccents") return steps.emplace_back(StripAccents{}), ok_status();
  if (type == "Strip") {
    StripSpaces sides;
    ASSIGN_OR_RETURN(sides.left, fields.boolean_or("strip_left", true));
    ASSIGN_OR_RETURN(sides.right, fields.boolean_or("strip_right", true));
    return steps.emplace_back(sides), ok_status();
  }
  if (type == "Prepend") {
    ASSIGN_OR_RETURN(std::string text, short_string(fields, "prepend"));
    return steps.emplace_back(PrependText{std::move(text)}), ok_status();
  }
  if (type == "Replace") {
    ASSIGN_OR_RETURN(const JsonValue field, fields.at("pattern"));
    ASSIGN_OR_RETURN(Pattern pattern, Pattern::read(field, fields.where() + ".pattern"));
    ASSIGN_OR_RETURN(std::string content, short_string(fields, "content"));
    return steps.emplace_back(ReplaceMatches{std::move(pattern), std::move(content)}), ok_status();
  }
  return invalid("TRI-TOK-008",
                 "normalizer \"{}\" is not supported; supported are NFC, NFD, NFKC, NFKD, "
                 "Lowercase, Strip, StripAccents, Prepend, Replace, Sequence",
                 type.substr(0, 80));
}

}  // namespace

StatusOr<Normalizer> Normalizer::read(JsonValue value) {
  Normalizer normalizer;
  RETURN_IF_ERROR(each_step(value,
                            {"normalizer", "normalizers", "TRI-TOK-008"},
                            [&](const JsonFields& fields, const std::string& type) {
                              return read_step(fields, type, normalizer.steps_);
                            }));
  return normalizer;
}

StatusOr<std::string> Normalizer::apply(std::string text, RegexScratch& scratch) const {
  for (const NormalizerStep& step : steps_) {
    ASSIGN_OR_RETURN(text, std::visit(Apply{std::move(text), scratch}, step));
  }
  return text;
}

}  // namespace trireme
