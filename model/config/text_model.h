// The part of a config.json that describes the text model: the whole file, or the "text_config" of
// a wrapper (images or audio with text). Pure function.
#pragma once

#include <string>

#include "base/json_value.h"
#include "base/status.h"
#include "model/config/family.h"

namespace trireme {

class JsonReader;

struct TextModel {
  JsonValue fields;
  std::string source;  // for messages
  const Family* family;
  bool wrapped;  // `fields` is a "text_config"
};

// TRI-CONF-004: a model_type that is not supported, outside or inside; TRI-CONF-011:
// "architectures" names another task than to generate text; TRI-CONF-003: a value of the wrong
// type.
StatusOr<TextModel> find_text_model(const JsonReader& outer);

}  // namespace trireme
