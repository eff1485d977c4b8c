// The sizes to which steps are padded, so that steps of one size share a recording. Announced by
// the ranks in HELLO, used by the coordinator to name a step's GraphKey; ascending.
#pragma once

#include <cstdint>
#include <vector>

#include "model/step_plan.h"

namespace trireme {

// 1 2 4 8 16 24 32 48 64, then by 32 to 512, as far as they are at most `most`. Above 512 rows a
// launch costs little beside its work.
std::vector<int32_t> step_buckets(int32_t most);

// The key of a step of so many tokens and sampled rows; none if a list has no bucket that holds
// them.
GraphKey graph_key_of(const std::vector<int32_t>& token_buckets,
                      const std::vector<int32_t>& row_buckets,
                      int32_t num_tokens,
                      int32_t num_rows,
                      bool decode_only);

}  // namespace trireme
