// What the sampling ops need to know of one row of logits. Definitions: docs/numerics.md and the
// order of tests/data/golden/README.md (penalties, bias, temperature, top-k, top-p, min-p).
#pragma once

#include <cstdint>

#include "base/step_memory.h"

namespace trireme {

struct SamplingRow {
  uint64_t seed = 0;
  uint32_t choice = 0;
  uint32_t token_index = 0;  // of the answer's next token
  float temperature = 1;     // 0: greedy
  int32_t top_k = 0;         // 0: off
  float top_p = 1;           // 1: off
  float min_p = 0;           // 0: off
  float repetition_penalty = 1;
  float presence_penalty = 0;
  float frequency_penalty = 0;

  const int32_t* history = nullptr;  // prompt ids, then output ids; only read if a penalty is on
  int32_t num_prompt = 0;
  int32_t num_history = 0;
  const int32_t* bias_ids = nullptr;
  const float* bias_values = nullptr;
  int32_t num_bias = 0;
  const int32_t* banned_ids = nullptr;  // end-of-sequence and stop ids while below min_tokens
  int32_t num_banned = 0;

  constexpr bool has_penalty() const {
    return repetition_penalty != 1 || presence_penalty != 0 || frequency_penalty != 0;
  }
  // Such a row is drawn from its whole vocabulary at one rank; any other needs only each shard's
  // best.
  constexpr bool needs_whole_row() const {
    return temperature > 0 && (top_k > 0 || top_p < 1 || min_p > 0);
  }
};
static_assert(sizeof(SamplingRow) == kSamplingRowBytes);

// The best of a shard: the perturbed (or greedy) score and its global id. Greater value wins, the
// lower id among equals. id -1: nothing can be drawn (every logit is -inf or NaN).
struct ShardDraw {
  float value = 0;
  int32_t id = -1;
};
static_assert(sizeof(ShardDraw) == kShardDrawBytes);

constexpr int32_t kMaxTopIds = 20;  // whose log-probabilities are told, the chosen id apart

struct TokenLogprob {
  int32_t id = -1;
  float logprob = 0;
};
static_assert(sizeof(TokenLogprob) == kTokenLogprobBytes);

}  // namespace trireme
