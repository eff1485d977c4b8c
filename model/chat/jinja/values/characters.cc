#include "model/chat/jinja/values/characters.h"

#include <utf8proc.h>

#include <algorithm>

#include "base/utf8.h"

namespace trireme::jinja {

namespace {

utf8proc_category_t category(char32_t code) {
  return utf8proc_category(static_cast<utf8proc_int32_t>(code));
}

template <class Ranges>
bool in_ranges(const Ranges& ranges, char32_t code) {
  const auto after = std::upper_bound(
      ranges.begin(), ranges.end(), code, [](char32_t value, const CharacterRange& range) {
        return value < range.first;
      });
  return after != ranges.begin() && code <= (after - 1)->last;
}

const SpecialCase* special_case(char32_t code) {
  if (code < 0x80) return nullptr;
  const auto at =
      std::lower_bound(kSpecialCases.begin(),
                       kSpecialCases.end(),
                       code,
                       [](const SpecialCase& entry, char32_t value) { return entry.code < value; });
  return at != kSpecialCases.end() && at->code == code ? &*at : nullptr;
}

void append_several(const char32_t (&codes)[3], std::string& out) {
  for (const char32_t code : codes) {
    if (code != 0) append_utf8(code, out);
  }
}

void append_folded(char32_t code, std::string& out) {
  utf8proc_int32_t folded[4];
  int boundary = 0;
  const utf8proc_ssize_t count = utf8proc_decompose_char(
      static_cast<utf8proc_int32_t>(code), folded, 4, UTF8PROC_CASEFOLD, &boundary);
  for (utf8proc_ssize_t i = 0; i < count && i < 4; ++i) {
    append_utf8(static_cast<char32_t>(folded[i]), out);
  }
}

}  // namespace

bool is_space(char32_t code) {
  if (code < 0x80)
    return code == ' ' || (code >= 9 && code <= 13) || (code >= 0x1C && code <= 0x1F);
  if (code == 0x85) return true;
  const utf8proc_category_t kind = category(code);
  return kind == UTF8PROC_CATEGORY_ZS || kind == UTF8PROC_CATEGORY_ZL ||
         kind == UTF8PROC_CATEGORY_ZP;
}

bool is_printable(char32_t code) {
  if (code < 0x80) return code >= 0x20 && code < 0x7F;
  const utf8proc_category_t kind = category(code);
  return kind != UTF8PROC_CATEGORY_CN &&
         (kind < UTF8PROC_CATEGORY_ZS || kind > UTF8PROC_CATEGORY_CO);
}

bool is_alpha(char32_t code) {
  if (code < 0x80) return (code | 0x20) >= 'a' && (code | 0x20) <= 'z';
  const utf8proc_category_t kind = category(code);
  return kind >= UTF8PROC_CATEGORY_LU && kind <= UTF8PROC_CATEGORY_LO;
}

bool is_decimal(char32_t code) {
  if (code < 0x80) return code >= '0' && code <= '9';
  return category(code) == UTF8PROC_CATEGORY_ND;
}

bool is_digit(char32_t code) { return is_decimal(code) || in_ranges(kOtherDigits, code); }

bool is_numeric(char32_t code) {
  if (code < 0x80) return is_decimal(code);
  const utf8proc_category_t kind = category(code);
  return (kind >= UTF8PROC_CATEGORY_ND && kind <= UTF8PROC_CATEGORY_NO) ||
         in_ranges(kOtherNumerals, code);
}

bool is_lower(char32_t code) {
  if (code < 0x80) return code >= 'a' && code <= 'z';
  return utf8proc_islower(static_cast<utf8proc_int32_t>(code)) != 0;
}

bool is_upper(char32_t code) {
  if (code < 0x80) return code >= 'A' && code <= 'Z';
  return utf8proc_isupper(static_cast<utf8proc_int32_t>(code)) != 0;
}

bool is_title(char32_t code) { return code >= 0x80 && category(code) == UTF8PROC_CATEGORY_LT; }

bool is_cased(char32_t code) { return is_lower(code) || is_upper(code) || is_title(code); }

bool is_case_ignorable(char32_t code) {
  constexpr std::string_view kMarks = "'.:^`";
  if (code < 0x80) return kMarks.find(static_cast<char>(code)) != std::string_view::npos;
  if (code == 0x2019 || code == 0xB7 || code == 0x387 || code == 0x2018) return true;
  const utf8proc_category_t kind = category(code);
  return kind == UTF8PROC_CATEGORY_MN || kind == UTF8PROC_CATEGORY_ME ||
         kind == UTF8PROC_CATEGORY_CF || kind == UTF8PROC_CATEGORY_LM ||
         kind == UTF8PROC_CATEGORY_SK;
}

bool is_line_break(char32_t code) {
  return (code >= 0x0A && code <= 0x0D) || (code >= 0x1C && code <= 0x1E) || code == 0x85 ||
         code == 0x2028 || code == 0x2029;
}

bool is_identifier(std::string_view text) {
  for (size_t at = 0; at < text.size();) {
    const Character c = character_at(text, at);
    const bool letter = is_alpha(c.code) || c.code == '_' ||
                        (c.code >= 0x80 && category(c.code) == UTF8PROC_CATEGORY_NL);
    const bool mark =
        is_decimal(c.code) || (c.code >= 0x80 && (category(c.code) == UTF8PROC_CATEGORY_MN ||
                                                  category(c.code) == UTF8PROC_CATEGORY_MC ||
                                                  category(c.code) == UTF8PROC_CATEGORY_PC));
    if (!letter && (!mark || at == 0)) return false;
    at += c.length;
  }
  return !text.empty();
}

void append_cased(char32_t code, Casing casing, bool final_sigma, std::string& out) {
  const auto simple = static_cast<utf8proc_int32_t>(code);
  const SpecialCase* special = special_case(code);
  switch (casing) {
    case Casing::kUpper:
      if (special != nullptr) return append_several(special->upper, out);
      return append_utf8(static_cast<char32_t>(utf8proc_toupper(simple)), out);
    case Casing::kTitle:
      if (special != nullptr) return append_several(special->title, out);
      return append_utf8(static_cast<char32_t>(utf8proc_totitle(simple)), out);
    case Casing::kLower:
      if (code == 0x130) {
        out += "i\xCC\x87";  // i and a dot above
      } else {
        append_utf8(code == 0x3A3 && final_sigma ? char32_t{0x3C2}
                                                 : static_cast<char32_t>(utf8proc_tolower(simple)),
                    out);
      }
      return;
    case Casing::kFold:
      return append_folded(code, out);
  }
}

size_t leading_space(std::string_view text) {
  size_t at = 0;
  while (at < text.size()) {
    const Character c = character_at(text, at);
    if (!is_space(c.code)) break;
    at += c.length;
  }
  return at;
}

size_t trailing_space(std::string_view text) {
  size_t end = text.size();
  while (end > 0) {
    size_t begin = end - 1;
    while (begin > 0 && (static_cast<uint8_t>(text[begin]) & 0xC0) == 0x80) --begin;
    if (!is_space(character_at(text, begin).code)) break;
    end = begin;
  }
  return text.size() - end;
}

size_t count_characters(std::string_view text) {
  size_t count = 0;
  for (const char c : text) count += (static_cast<uint8_t>(c) & 0xC0) != 0x80;
  return count;
}

}  // namespace trireme::jinja
