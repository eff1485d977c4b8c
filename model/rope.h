// Rotary position embedding frequencies and their scalings, as published:
// linear (Chen et al. 2023), llama3 (Llama 3.1 model card), yarn (Peng et al. 2023).
#pragma once

#include <cstdint>
#include <vector>

#include "model/model_config.h"

namespace trireme {

// [rotary_dim / 2] angle per position, fp32 as the reference computes it.
std::vector<float> rope_inverse_frequencies(const RopeConfig& rope, int64_t rotary_dim);

// [max_positions, rotary_dim / 2, 2] cos, sin with the attention factor multiplied in.
std::vector<float> rope_table(const RopeConfig& rope, int64_t rotary_dim, int64_t max_positions);

}  // namespace trireme
