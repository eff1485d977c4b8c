// UTF-8, step by step. Pure functions.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace trireme {

// The first step of decoding `text` (not empty). Valid: `length` bytes are the character `code`.
// Not valid: `length` bytes are a maximal invalid part (one U+FFFD); if `incomplete`, they are all
// that is left and could still begin a character.
struct Utf8Step {
  bool valid = false;
  bool incomplete = false;
  uint8_t length = 0;
  char32_t code = 0;
};
Utf8Step utf8_step(std::string_view text);

void append_utf8(char32_t code, std::string& out);

constexpr std::string_view kReplacementCharacter = "\xEF\xBF\xBD";

bool is_utf8(std::string_view text);
// `text` with every maximal invalid part replaced by U+FFFD.
std::string to_utf8_lossy(std::string_view text);

}  // namespace trireme
