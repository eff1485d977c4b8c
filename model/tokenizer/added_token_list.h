// Collects the added tokens of a tokenizer in the order in which its files add them, and makes the
// matchers that find them in a text. Used by one thread, while loading.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "model/tokenizer/added_tokens.h"
#include "model/tokenizer/regex.h"

namespace trireme {

struct TokenizerParts;

class AddedTokenList {
 public:
  // Adds to the vocabulary and the matchers of `parts`, whose vocabulary has all tokens of the
  // model and whose normalizer is read. `count`: the number of calls of add().
  AddedTokenList(TokenizerParts& parts, size_t count);

  // A token without content is dropped; one that is known takes the new flags. `stated_id`: the id
  // in the file `path`, -1 if it states none. Error: TRI-TOK-007.
  Status add(AddedToken token, int64_t stated_id, const std::string& path);

  // Whether `content` is an added token.
  bool has(std::string_view content) const;

  // Makes an added token special.
  void make_special(std::string_view content);

  // Makes the matchers; nothing is added afterwards. Error: TRI-TOK-007 (the normalizer).
  Status finish();

  // Names a token whose id is not the one that its file states; "": there is none.
  const std::string& note() const { return note_; }

 private:
  Status normalize(AddedToken& token, RegexScratch& scratch) const;

  TokenizerParts& parts_;
  std::vector<AddedToken> tokens_;
  std::string note_;
};

}  // namespace trireme
