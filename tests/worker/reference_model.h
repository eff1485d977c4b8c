// A transformer of the Llama kind in double precision, written from its formulas: no cache, no
// sharding, none of the kernels. The reference for the cluster's logits.
#pragma once

#include <vector>

#include "model/checkpoint/checkpoint.h"
#include "model/model_config.h"

namespace trireme {

// logits[position][id] for every position of `ids`.
std::vector<std::vector<double>> reference_logits(const ModelConfig& config,
                                                  Checkpoint& checkpoint,
                                                  const std::vector<TokenId>& ids);

}  // namespace trireme
