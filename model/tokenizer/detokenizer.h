// Incremental decoding of one answer: ids in, text out as soon as a UTF-8 character is complete.
// Owned by one request; the tokenizer must outlive it.
// Invariant: the results of push() and finish() are valid UTF-8 and concatenate to decode() of all
// ids.
#pragma once

#include <cstdint>
#include <string>

#include "model/token.h"

namespace trireme {

class Tokenizer;

class Detokenizer {
 public:
  explicit Detokenizer(const Tokenizer& tokenizer, bool skip_special = true);

  // The text that `id` completes. Bytes that can no longer become a character give U+FFFD at once,
  // one per maximal invalid subpart (Unicode 15, section 3.9, as in the WHATWG decoder).
  std::string push(TokenId id);

  // The text at the end: U+FFFD for an incomplete character, else "".
  std::string finish();

 private:
  const Tokenizer* tokenizer_;
  int32_t spaces_to_drop_;  // leading spaces that are still to be dropped
  bool skip_special_;
  bool first_ = true;
  uint8_t num_held_ = 0;
  char held_[3];  // the first bytes of an incomplete character
};

}  // namespace trireme
