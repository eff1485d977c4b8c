// Reads config.json of a Hugging Face folder into a ModelConfig. Pure functions.
#pragma once

#include <string>

#include "base/status.h"
#include "model/model_config.h"

namespace trireme {

// TRI-CONF-...: not JSON, a missing or impossible field (with the value seen and allowed), or an
// architecture or flag that is not supported (with the supported values).
StatusOr<ModelConfig> parse_model_config(const std::string& json_text, const std::string& source);

// Reads DIR/config.json. TRI-CONF-001: no such folder or file.
StatusOr<ModelConfig> load_model_config(const std::string& model_dir);

}  // namespace trireme
