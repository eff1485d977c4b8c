// Parser of the rotary keys of config.json: `rope_theta` and `rope_scaling`, or `rope_parameters`.
// Pure function.
#pragma once

#include <string>

#include "base/status.h"
#include "model/model_config.h"

namespace trireme {

class JsonReader;

// TRI-CONF-006: a rope type that is not supported; TRI-CONF-003: a value out of range.
StatusOr<RopeConfig> parse_rope(JsonReader& config,
                                int64_t max_positions,
                                const std::string& source);

}  // namespace trireme
