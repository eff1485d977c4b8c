#include "model/sampling_ranges.h"

#include <algorithm>
#include <iterator>
#include <limits>

#include "base/check.h"
#include "model/sampling_params.h"

namespace trireme {

namespace {

constexpr double kMaxTokens = 1 << 24;
constexpr double kInt32Max = std::numeric_limits<int32_t>::max();
constexpr double kBelow2To64 = 0x1.fffffffffffffp63;  // the last double: 2^64 - 1 rounds to 2^64

struct NamedRange {
  std::string_view field;
  NumberRange range;
};

constexpr NamedRange kRanges[] = {
    {"temperature", {0, 100, "0 (greedy) to 100"}},
    {"top_k", {0, kInt32Max, "0 (off) to 2147483647"}},
    {"top_p", {0, 1, "above 0 to 1 (off)", /*is_above_low=*/true}},
    {"min_p", {0, 1, "0 (off) to 1"}},
    {"repetition_penalty", {1e-2, 100, "0.01 to 100"}},
    {"presence_penalty", {-100, 100, "-100 to 100"}},
    {"frequency_penalty", {-100, 100, "-100 to 100"}},
    {"logit_bias", {-1e4, 1e4, "-10000 to 10000"}},
    {"max_tokens", {1, kMaxTokens, "1 to 16777216"}},
    {"min_tokens", {0, kMaxTokens, "0 to max_tokens"}},
    {"n", {1, kMaxChoices, "1 to 64"}},
    {"logprobs", {0, kMaxLogprobs, "0 to 20"}},
    {"prompt_logprobs", {0, kMaxLogprobs, "0 to 20"}},
    {"seed", {0, kBelow2To64, "0 to 18446744073709551615 (leave it out for a random one)"}},
    {"token id", {0, kInt32Max, "ids from 0 to 2147483647"}},
};

}  // namespace

const NumberRange& sampling_range(std::string_view field) {
  const auto* row = std::ranges::find(kRanges, field, &NamedRange::field);
  CHECK(row != std::end(kRanges));
  return row->range;
}

Status out_of_range(std::string_view field, std::string_view seen, std::string_view allowed) {
  return with_field(invalid("TRI-REQ-001", "{} is {}, allowed are {}", field, seen, allowed),
                    field);
}

}  // namespace trireme
