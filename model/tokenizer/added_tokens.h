// Finds the added tokens of a file in a text: the longest at the leftmost place, with their flags.
// Const after load, thread-safe.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "model/token.h"

namespace trireme {

struct AddedToken {
  std::string content;  // as it is looked for: normalised if `normalized`
  TokenId id = -1;
  bool special = false;
  bool single_word = false;  // only between characters that are no word characters
  bool lstrip = false;       // takes the white space before it
  bool rstrip = false;       // takes the white space after it
  bool normalized = false;   // looked for in the normalised text
};

// A stretch of a text: plain text (id = -1) or an added token.
struct Stretch {
  uint32_t begin;
  uint32_t end;
  TokenId id;
};

class AddedTokenMatcher {
 public:
  AddedTokenMatcher() = default;
  explicit AddedTokenMatcher(std::vector<AddedToken> tokens);

  // Cuts `text` (valid UTF-8) into stretches, in order, none empty of plain text.
  std::vector<Stretch> split(std::string_view text, bool parse_special) const;

  const std::vector<AddedToken>& tokens() const { return tokens_; }  // by content

 private:
  const AddedToken* longest_at(std::string_view text) const;

  std::vector<AddedToken> tokens_;
  bool starts_[256] = {};  // bytes that begin one of them
};

}  // namespace trireme
