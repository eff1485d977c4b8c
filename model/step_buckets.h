// Sizes to which steps are padded, so that steps of one size share a captured graph. The ranks
// announce them in HELLO, and the coordinator picks the GraphKey of a step from them. Lists are
// ascending. Pure functions.
#pragma once

#include <cstdint>
#include <vector>

#include "model/step_plan.h"

namespace trireme {

// 1 2 4 8 16 24 32 48 64, then multiples of 32 up to 512, limited to `max_size`. Above 512 rows the
// cost of launches is small against the work.
std::vector<int32_t> step_buckets(int32_t max_size);

// The key of a step of num_tokens tokens and num_rows sampled rows; GraphKey() if they exceed the
// largest bucket.
GraphKey graph_key_of(const std::vector<int32_t>& token_buckets,
                      const std::vector<int32_t>& row_buckets,
                      int32_t num_tokens,
                      int32_t num_rows,
                      bool decode_only);

}  // namespace trireme
