// The part of a config.json that describes the text model: the whole file, or the "text_config" of
// a wrapper (images or audio with text). Pure function.
#pragma once

#include <string>

#include "base/json_value.h"
#include "base/status.h"
#include "model/config/family.h"

namespace trireme {

class JsonReader;

// Particulars of the wrappers of one model_type.
struct Wrapper {
  std::string_view model_type;
  const char* inner_type;         // of a text_config that does not state it
  bool ties = false;              // the default of "tie_word_embeddings"
  bool has_own_defaults = false;  // for keys that its text_config lacks: they have to be stated
};

struct TextModel {
  JsonValue fields;
  std::string source;  // for messages
  const Family* family;
  bool wrapped;            // `fields` is a "text_config"
  const Wrapper* wrapper;  // null: not wrapped, or without particulars
};

// TRI-CONF-004: a model_type that is not supported, outside or inside; TRI-CONF-011:
// "architectures" names another task than to generate text; TRI-CONF-003: a value of the wrong
// type.
StatusOr<TextModel> find_text_model(const JsonReader& outer);

}  // namespace trireme
