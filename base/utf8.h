// Decoding and encoding of UTF-8, one character at a time, and checks and escapes for text that is
// not UTF-8. Pure functions, any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/status.h"

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
// The offset of the first byte that is not part of a character.
std::optional<size_t> first_not_utf8(std::string_view text);

// `text` with every maximal invalid subpart replaced by U+FFFD.
std::string to_utf8_lossy(std::string_view text);
// `text` with every byte that is not part of a character written as \xff: for messages, JSON and
// logs that quote a name of any bytes. Unlike U+FFFD it keeps different names different.
std::string escape_not_utf8(std::string_view text);
// The same for control characters, too (a line break is \x0a): for a name in a line of a terminal.
std::string escape_controls(std::string_view text);
// The longest beginning of `text` of at most `max_bytes` that does not end within a character.
std::string_view utf8_head(std::string_view text, size_t max_bytes);

// TRI-RUN-040: `text` is not UTF-8. `subject` names it: "the prompt".
Status check_utf8(std::string_view text, std::string_view subject);

}  // namespace trireme
