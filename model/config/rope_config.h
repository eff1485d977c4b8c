// Parser of the rotary keys of config.json: `rope_theta` with `rope_scaling`, or `rope_parameters`;
// both flat, or by kind of layer ("full_attention", "sliding_attention"). Pure function.
#pragma once

#include "base/status.h"
#include "model/model_config.h"

namespace trireme {

class JsonReader;

// Resolves the rotary embedding of each kind of layer into `config.ropes` and `config.layer_rope`,
// and raises `config.max_positions` to the length that the scaling extends it to. `config` has its
// max_positions, num_layers and layer_window. TRI-CONF-006: a rope type or key that is not
// supported; TRI-CONF-003: a value out of range, or a kind of layer without its keys.
Status read_ropes(JsonReader& top, ModelConfig& config);

}  // namespace trireme
