// The parameters of a request for sampling and for the end of its answer; docs/numerics.md defines
// them. Plain values.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/status.h"
#include "model/token.h"

namespace trireme {

constexpr int kMaxLogprobs = 20;
constexpr int32_t kMaxChoices = 64;
constexpr int32_t kMaxStopStrings = 64;

// The parameters that the worker needs to sample a token.
struct SamplingParams {
  float temperature = 1;  // 0: greedy
  int32_t top_k = 0;      // 0: off
  float top_p = 1;
  float min_p = 0;
  float repetition_penalty = 1;
  float presence_penalty = 0;
  float frequency_penalty = 0;
  std::vector<std::pair<TokenId, float>> logit_bias;
  int32_t min_tokens = 0;
  std::vector<TokenId> end_ids;  // end-of-sequence and stop ids, banned before min_tokens
  int32_t num_logprobs = -1;     // -1: none; 0: the sampled token only; at most kMaxLogprobs

  bool operator==(const SamplingParams&) const = default;
  bool needs_history() const {
    return repetition_penalty != 1 || presence_penalty != 0 || frequency_penalty != 0;
  }
};

// All parameters of a request besides its prompt.
struct GenerationParams {
  SamplingParams sampling;
  int32_t max_tokens = 256;
  std::vector<std::string> stop;
  std::vector<TokenId> stop_token_ids;
  bool ignore_eos = false;
  std::optional<uint64_t> seed;
  int32_t num_choices = 1;  // n
  bool skip_special_tokens = true;
  bool include_stop_in_output = false;
  bool echo = false;
  int32_t num_prompt_logprobs = -1;  // -1: none

  bool operator==(const GenerationParams&) const = default;
};

// TRI-REQ-...: the first field out of range, with the value seen and the values allowed.
Status validate(const GenerationParams& params, int64_t vocabulary_size);

}  // namespace trireme
