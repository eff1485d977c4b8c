// Reads the field `model` of a tokenizer.json, a BPE model. Used by one thread, while loading.
#pragma once

#include <memory>

#include "base/status.h"
#include "model/tokenizer/bpe.h"
#include "model/tokenizer/json_fields.h"
#include "model/tokenizer/vocabulary.h"

namespace trireme {

// The vocabulary of `model.vocab`, with capacity for `num_added` further tokens. Errors:
// TRI-TOK-003, 005.
StatusOr<Vocabulary> read_vocabulary(const JsonFields& model, size_t num_added);

// The merges and flags; `vocabulary` must outlive the result. Errors: TRI-TOK-003, 006, 016.
StatusOr<std::unique_ptr<const BpeModel>> read_bpe(const JsonFields& model,
                                                   const Vocabulary& vocabulary);

}  // namespace trireme
