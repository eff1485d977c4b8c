// The tokenizer classes of transformers 5.24: the one that AutoTokenizer takes for a folder, and
// the special tokens that a class adds by itself. Pure functions.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "model/tokenizer/tokenizer_settings.h"

namespace trireme {

// The name without Fast at its end, which means nothing; "" for the class that takes tokenizer.json
// as it is, which is also that of a LlamaTokenizer whose file is byte-level.
std::string_view tokenizer_class_of(const TokenizerSettings& settings, bool is_byte_level);

// The tokens that are added by name: those of `settings`, and of the class those whose names the
// files leave out; in the order in which the reference adds them.
std::vector<AddedToken> named_tokens(const TokenizerSettings& settings,
                                     std::string_view tokenizer_class);

}  // namespace trireme
