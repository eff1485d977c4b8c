// Keys of config.json that change the arithmetic of a model in some family. Where the family of the
// model does not read such a key, its value must be neutral: one that leaves the arithmetic alone.
// Pure functions.
#pragma once

#include "base/status.h"
#include "model/config/family.h"
#include "model/model_config.h"

namespace trireme {

class JsonReader;

// Checks the keys of `reader` that `family` does not read. `config` is complete. TRI-CONF-010: a
// value that is not neutral (with the key, the value, the meaning and the family).
Status check_neutral_keys(const JsonReader& reader,
                          const Family& family,
                          const ModelConfig& config);

// The same for the file around a "text_config".
Status check_neutral_keys_of_wrapper(const JsonReader& reader,
                                     const Family& family,
                                     const ModelConfig& config);

}  // namespace trireme
