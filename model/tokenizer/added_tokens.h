// Finds the added tokens of a tokenizer.json in a text: leftmost first, and the longest at each
// place. Const after load, any thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "model/token.h"
#include "model/tokenizer/guard.h"

namespace trireme {

struct AddedToken {
  std::string content;  // the text to find; normalised if `normalized`
  TokenId id = -1;
  bool special = false;
  bool single_word = false;  // only if no word character is next to it
  bool lstrip = false;       // consumes the white space before it
  bool rstrip = false;       // consumes the white space after it
  bool normalized = false;   // matched in the normalised text
};

// A range of a text: plain text (id = -1) or an added token.
struct Stretch {
  uint32_t begin;
  uint32_t end;
  TokenId id;
};

class AddedTokenMatcher {
 public:
  AddedTokenMatcher() = default;
  explicit AddedTokenMatcher(std::vector<AddedToken> tokens);

  // Splits `text` (valid UTF-8) into stretches, in order; none of plain text is empty. Without
  // `parse_special`, special tokens are plain text; so are tokens where `allowed` refuses them.
  std::vector<Stretch> split(std::string_view text,
                             bool parse_special,
                             const TokenAllowed& allowed = nullptr) const;

  const std::vector<AddedToken>& tokens() const { return tokens_; }  // by content

 private:
  const AddedToken* longest_at(std::string_view text,
                               size_t begin,
                               const TokenAllowed& allowed) const;

  std::vector<AddedToken> tokens_;
  bool starts_[256] = {};  // first bytes of the tokens
};

}  // namespace trireme
