// Token ids on stdout, for tokenize. Main thread.
#pragma once

#include <vector>

#include "clients/cli/terminal.h"
#include "model/token.h"
#include "model/tokenizer/tokenizer.h"

namespace trireme {

// {"ids", "tokens"} on a line with `json`; else "1,2,3" and, with `tokens`, a line for each id.
void print_token_ids(Terminal& terminal,
                     const Tokenizer& tokenizer,
                     const std::vector<TokenId>& ids,
                     bool json,
                     bool tokens);

}  // namespace trireme
