// Cuts words at matches: the six ways of a Split step, over one list of words.
#pragma once

#include <vector>

#include "model/tokenizer/pre_tokenizer.h"

namespace trireme {

// Replaces `word` by its parts, appended to `out`. `matches` lie in the word (offsets from its
// begin), ascending and apart; with `invert` the stretches between them count as matches.
void split_word(const Words::Word& word,
                const std::vector<Match>& matches,
                SplitBehavior behavior,
                bool invert,
                std::vector<Words::Word>& out);

}  // namespace trireme
