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

// `name` is that of tokenizer_class_of(), `file` the outermost object of the tokenizer.json.
StatusOr<PrefixRule> prefix_rule(std::string_view name,
                                 const TokenizerSettings& settings,
                                 const JsonFields& file);

// Whether the class sets add_prefix_space of ByteLevel; the reference then wants true or false.
bool sets_byte_level(std::string_view name);

}  // namespace trireme
