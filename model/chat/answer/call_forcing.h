// The opening of a call that the server writes into the prompt. Pure functions.
#pragma once

#include <string>
#include <vector>

#include "base/status.h"
#include "model/chat/answer/answer_format.h"
#include "model/token.h"

namespace trireme {

class Tokenizer;

struct ForcedOpening {
  std::string text;
  std::vector<TokenId> ids;  // follow the ids of the prompt
};

// The longest opening of a call to one of `names` that ends where a token ends, whatever the model
// goes on with. `format`: with `opened`, the end of the prompt; in_reasoning: the prompt opened
// reasoning, which is closed first.
StatusOr<ForcedOpening> force_call(const Tokenizer& tokenizer,
                                   const AnswerFormat& format,
                                   const std::vector<std::string>& names,
                                   bool in_reasoning);

}  // namespace trireme
