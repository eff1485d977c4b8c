// Turns the ids of one answer into text as they come, byte by byte: text is released as soon as it
// completes a UTF-8 character. Owned by one request; the tokenizer must outlive it.
// Invariant: all pieces and finish() together are valid UTF-8, the decoder's text of all ids.
#pragma once

#include <cstdint>
#include <string>

#include "model/token.h"

namespace trireme {

class Tokenizer;

class Detokenizer {
 public:
  explicit Detokenizer(const Tokenizer& tokenizer, bool skip_special = true);

  // The text to release after `id`; a byte that can no longer belong to a character gives U+FFFD
  // at once, one for each maximal invalid part (Unicode 15, section 3.9, as WHATWG decodes).
  std::string push(TokenId id);

  // The text to release at the end: U+FFFD for an incomplete character, else nothing.
  std::string finish();

 private:
  const Tokenizer* tokenizer_;
  int32_t spaces_to_drop_;  // leading spaces that the decoder still takes away
  bool skip_special_;
  bool first_ = true;
  uint8_t num_held_ = 0;
  char held_[3];  // an incomplete character's first bytes
};

}  // namespace trireme
