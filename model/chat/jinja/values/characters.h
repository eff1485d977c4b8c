// Character classes and case mappings as Python's str has them. Pure functions, any thread.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace trireme::jinja {

bool is_space(char32_t code);
bool is_printable(char32_t code);
bool is_alpha(char32_t code);
bool is_decimal(char32_t code);
bool is_digit(char32_t code);
bool is_numeric(char32_t code);
bool is_lower(char32_t code);
bool is_upper(char32_t code);  // not title case
bool is_title(char32_t code);
bool is_cased(char32_t code);
bool is_case_ignorable(char32_t code);
bool is_line_break(char32_t code);  // of str.splitlines()
inline bool is_alnum(char32_t code) { return is_alpha(code) || is_numeric(code); }
bool is_identifier(std::string_view text);

enum class Casing : uint8_t { kUpper, kLower, kTitle, kFold };
// Appends the mapping of one character. `final_sigma`: a capital sigma ends its word.
void append_cased(char32_t code, Casing casing, bool final_sigma, std::string& out);

// Bytes of white space at either end of `text`.
size_t leading_space(std::string_view text);
size_t trailing_space(std::string_view text);

// The character at a byte of valid UTF-8, and its length.
struct Character {
  char32_t code = 0;
  uint32_t length = 1;
};
inline Character character_at(std::string_view text, size_t at) {
  const auto byte = [&](size_t i) { return static_cast<uint8_t>(text[at + i]); };
  const uint8_t first = byte(0);
  if (first < 0x80) return {first, 1};
  if (first < 0xE0) return {char32_t(first & 0x1F) << 6 | (byte(1) & 0x3Fu), 2};
  if (first < 0xF0) {
    return {char32_t(first & 0x0F) << 12 | (byte(1) & 0x3Fu) << 6 | (byte(2) & 0x3Fu), 3};
  }
  return {char32_t(first & 0x07) << 18 | (byte(1) & 0x3Fu) << 12 | (byte(2) & 0x3Fu) << 6 |
              (byte(3) & 0x3Fu),
          4};
}
size_t count_characters(std::string_view text);

struct SpecialCase {
  char32_t code;
  char32_t upper[3];
  char32_t title[3];
};
struct CharacterRange {
  char32_t first;
  char32_t last;
};
extern const std::array<SpecialCase, 102> kSpecialCases;
extern const std::array<CharacterRange, 20> kOtherDigits;
extern const std::array<CharacterRange, 72> kOtherNumerals;

}  // namespace trireme::jinja
