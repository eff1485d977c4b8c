// The rotary part of config.json: `rope_theta` + `rope_scaling`, or `rope_parameters`.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "base/status.h"
#include "model/model_config.h"

namespace trireme {

// TRI-CONF-006: a rope type that is not supported; TRI-CONF-003: a value out of range.
StatusOr<RopeConfig> parse_rope(const nlohmann::json& config,
                                int64_t max_positions,
                                const std::string& source);

}  // namespace trireme
