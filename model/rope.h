// Frequencies of rotary position embeddings and their published scalings: linear (Chen et al.
// 2023), llama3 (Llama 3.1 model card), yarn (Peng et al. 2023). Pure functions.
#pragma once

#include <cstdint>
#include <vector>

#include "model/model_config.h"

namespace trireme {

// [rotary_dim / 2] angles per position, in fp32 as the reference implementation computes them.
std::vector<float> rope_inverse_frequencies(const RopeConfig& rope, int64_t rotary_dim);

// [max_positions, rotary_dim / 2, 2]: cos and sin, multiplied by the attention factor.
std::vector<float> rope_table(const RopeConfig& rope, int64_t rotary_dim, int64_t max_positions);

}  // namespace trireme
