// Parser of the keys of config.json that give layers a sliding window. Pure function.
#pragma once

#include "model/config/family.h"
#include "model/model_config.h"

namespace trireme {

class JsonReader;

// The window of each layer, by the rules of the reference implementation of the family, into
// `config.layer_window`; `config` has its num_layers. Errors stay in the reader: a window out of
// range, or "layer_types" that the family or the other keys contradict.
void read_layer_windows(JsonReader& reader, const Family& family, ModelConfig& config);

}  // namespace trireme
