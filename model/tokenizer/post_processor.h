// The ids that the post-processor of a tokenizer.json adds before and after one sequence. Const
// after load, any thread.
#pragma once

#include <vector>

#include "base/status.h"
#include "model/token.h"
#include "model/tokenizer/json_fields.h"
#include "model/tokenizer/vocabulary.h"

namespace trireme {

struct PostProcessor {
  std::vector<TokenId> before;
  std::vector<TokenId> after;

  // Reads the field `post_processor`; its ids must be tokens. Errors: TRI-TOK-003, TRI-TOK-011.
  static StatusOr<PostProcessor> read(JsonValue value, const Vocabulary& vocabulary);
};

}  // namespace trireme
