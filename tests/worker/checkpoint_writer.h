// Writes checkpoints for tests: a folder in the published layout, with random weights.
#pragma once

#include <string>

#include "base/dtype.h"

namespace trireme {

// Writes config.json and *.safetensors (an index too if `num_files` > 1) to a new temporary folder
// and returns its path. Weights are roughly normal, matrices scaled by 1 / sqrt(columns), norms
// near 1.
std::string write_random_checkpoint(const std::string& name,
                                    const std::string& config_json,
                                    DType stored,
                                    int num_files);

}  // namespace trireme
