// The grammar of tensor names in checkpoints: outer prefixes, the parts of a decoder, patterns that
// are harmless, and the likely causes of others. Pure functions, any thread.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "model/checkpoint/checkpoint.h"
#include "model/model_config.h"

namespace trireme {

// "base_model.model." and "layers.0.mlp.up_proj.weight". The prefix is the longest sequence of
// wrappers ("model.", "language_model.", "module.", ...) at the start of the name.
struct SplitName {
  std::string_view prefix;
  std::string_view rest;
};
SplitName split_name(std::string_view name);

// Whether `rest` (without its outer prefix) is of the embedding, a layer or the final norm.
bool is_decoder_weight(std::string_view rest);

// Whether `outer` is `prefix` or `prefix` without some of its last words: the head of the decoder
// below "base_model.model." stands below that, "base_model." or nothing.
bool is_outer_part(std::string_view outer, std::string_view prefix);

// The usual name of the head of the decoder below `prefix`: "language_model.lm_head.weight" for
// "language_model.model.".
std::string usual_head_name(std::string_view prefix);

// Whether a stored tensor is a part of the decoder: below its prefix or an outer part of that a
// table of embeddings, the layers, a norm, a change of the logits or the head. Outside the text
// model of a wrapper the head alone is.
bool is_of_decoder(std::string_view name, const StoredNames& names);

// Whether a tensor of the decoder can be ignored without a change of the result: the tables of
// rotary embeddings, masks and position ids.
bool is_harmless(const StoredTensor& tensor);

// The likely cause of stored tensors that nothing expects, for the end of a message; "" if the
// names do not tell.
std::string cause_of_unexpected(const std::vector<std::string>& names);

// A name for a one-line message: at most 100 characters, none of them a control character.
std::string shown_name(std::string_view name);

// The first `max` names, "a, b, ...".
std::string shown_names(const std::vector<std::string>& names, size_t max = 5);

}  // namespace trireme
