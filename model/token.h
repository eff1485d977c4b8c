// The id of a token, its index in the vocabulary (-1: none), and its log-probability.
#pragma once

#include <cstdint>

namespace trireme {

using TokenId = int32_t;

struct TokenAndLogprob {
  TokenId id = -1;
  float logprob = 0;
  bool operator==(const TokenAndLogprob&) const = default;
};

}  // namespace trireme
