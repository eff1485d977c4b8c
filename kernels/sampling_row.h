// Parameters of the sampling ops for one row of logits, and their results. The eight steps they
// parameterise are defined in docs/numerics.md. Pointers are device memory.
#pragma once

#include <cstdint>

#include "base/step_memory.h"

namespace trireme {

struct SamplingRow {
  uint64_t seed = 0;
  uint32_t choice = 0;
  uint32_t token_index = 0;  // index in the answer of the token to draw
  float temperature = 1;     // 0: greedy
  int32_t top_k = 0;         // 0: off
  float top_p = 1;           // 1: off
  float min_p = 0;           // 0: off
  float repetition_penalty = 1;
  float presence_penalty = 0;
  float frequency_penalty = 0;

  const int32_t* history = nullptr;  // prompt ids, then output ids; read only with penalties
  int32_t num_prompt = 0;
  int32_t num_history = 0;
  const int32_t* bias_ids = nullptr;
  const float* bias_values = nullptr;
  int32_t num_bias = 0;
  const int32_t* banned_ids = nullptr;  // end-of-sequence and stop ids, below min_tokens
  int32_t num_banned = 0;

  constexpr bool has_penalty() const {
    return repetition_penalty != 1 || presence_penalty != 0 || frequency_penalty != 0;
  }
  // Whether the row is drawn from the whole vocabulary on one rank, by draw_whole(). Other rows
  // need only the best of each shard.
  constexpr bool needs_whole_row() const {
    return temperature > 0 && (top_k > 0 || top_p < 1 || min_p > 0);
  }
};
static_assert(sizeof(SamplingRow) == kSamplingRowBytes);

// The rows that draw_whole() draws: all, or those for which needs_whole_row() holds.
enum class WholeRows : uint8_t { kAll, kNeeded };

// Best candidate of a shard: its score (logit, or logit / temperature + noise) and global id. The
// maximum score wins, the lowest id among equals. id -1: every logit is -inf or NaN.
struct ShardDraw {
  float value = 0;
  int32_t id = -1;
};
static_assert(sizeof(ShardDraw) == kShardDrawBytes);

constexpr int32_t kMaxTopIds = 20;  // maximum of log-probabilities per row, besides the chosen id's

struct TokenLogprob {
  int32_t id = -1;
  float logprob = 0;
};
static_assert(sizeof(TokenLogprob) == kTokenLogprobBytes);

}  // namespace trireme
