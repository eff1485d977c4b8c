// Decoding and encoding of UTF-8, one character at a time. Pure functions, any thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace trireme {

// The first character of a text. Valid: `length` bytes encode the character `code`. Not valid:
// `length` bytes are a maximal subpart (Unicode, U+FFFD substitution), which becomes one U+FFFD; if
// `incomplete`, they reach to the end of the text and could still become a character.
struct Utf8Step {
  bool valid = false;
  bool incomplete = false;
  uint8_t length = 0;
  char32_t code = 0;
};
Utf8Step utf8_step(std::string_view text);  // `text` is not empty

void append_utf8(char32_t code, std::string& out);

constexpr std::string_view kReplacementCharacter = "\xEF\xBF\xBD";

bool is_utf8(std::string_view text);
// `text` with every maximal invalid subpart replaced by U+FFFD.
std::string to_utf8_lossy(std::string_view text);

}  // namespace trireme
