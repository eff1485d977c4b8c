// The class that AutoTokenizer of transformers 5 makes of a tokenizer.json, as far as it changes
// ids: some classes decide by add_prefix_space of tokenizer_config.json, and not by the file,
// whether a text begins with a space. Pure functions; used by one thread, while loading.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/status.h"
#include "model/tokenizer/json_fields.h"
#include "model/tokenizer/tokenizer_settings.h"

namespace trireme {

struct PrefixRule {
  // Set: the value of add_prefix_space of each ByteLevel step.
  std::optional<bool> byte_level;
  // Set: normalizer and pre-tokenizer are this one Metaspace step, as a tokenizer.json writes it.
  std::string metaspace;
  // Set: the decoder, likewise.
  std::string decoder;
  // Set: the class would split texts in another way than the file, whose way counts.
  std::string note;
};

// `file` is the outermost object of the tokenizer.json `json`.
StatusOr<PrefixRule> prefix_rule(const TokenizerSettings& settings,
                                 const JsonFields& file,
                                 std::string_view json);

}  // namespace trireme
