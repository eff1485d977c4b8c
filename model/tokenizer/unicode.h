// The character classes that tokenizers need. Pure functions.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/utf8.h"

namespace trireme {

// The last character of `text` (valid UTF-8, not empty) and its length.
Utf8Step utf8_last(std::string_view text);

bool is_space(char32_t code);        // White_Space
bool is_word(char32_t code);         // Alphabetic, marks, decimal digits, connectors, joiners
bool is_number(char32_t code);       // general category N
bool is_punctuation(char32_t code);  // general category P, and the ASCII symbols

// The alphabet of GPT-2: a printable character of one or two UTF-8 bytes for each byte.
class ByteAlphabet {
 public:
  ByteAlphabet();
  std::string_view character(uint8_t byte) const {
    return {characters_[byte].data(), static_cast<size_t>(lengths_[byte])};
  }
  // The byte of a character, -1 if it is not in the alphabet.
  int byte_of(char32_t code) const { return code < kEnd ? bytes_[code] : -1; }

 private:
  static constexpr char32_t kEnd = 0x144;
  std::array<std::array<char, 2>, 256> characters_;
  std::array<uint8_t, 256> lengths_;
  std::array<int16_t, kEnd> bytes_;
};

}  // namespace trireme
