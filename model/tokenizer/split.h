// Splits words at matches, with the five behaviours of a Split step (SplitBehavior). Pure function.
#pragma once

#include <vector>

#include "model/tokenizer/pre_tokenizer.h"

namespace trireme {

// Appends the parts of `word` to `out`. `matches` are offsets from the begin of the word, ascending
// and disjoint; with `invert` the ranges between them are the matches.
void split_word(const Words::Word& word,
                const std::vector<Match>& matches,
                SplitBehavior behavior,
                bool invert,
                std::vector<Words::Word>& out);

}  // namespace trireme
