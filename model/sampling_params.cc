#include "model/sampling_params.h"

#include <cmath>

#include "base/step_memory.h"
#include "base/text.h"

namespace trireme {

namespace {

constexpr int32_t kMaxTokens = 1 << 24;
constexpr size_t kMaxStops = kMaxStopStrings;
constexpr size_t kMaxStopBytes = 1024;

// False for a value out of range and for NaN.
template <class Value>
Status out_of_range(const char* name, Value seen, const std::string& allowed) {
  return invalid("TRI-REQ-001", "{} is {}, allowed are {}", name, format_number(seen), allowed);
}

bool within(double value, double low, double high) { return value >= low && value <= high; }

Status check_numbers(const SamplingParams& sampling) {
  if (!within(sampling.temperature, 0, 100)) {
    return out_of_range("temperature", sampling.temperature, "0 (greedy) to 100");
  }
  if (sampling.top_k < 0) return out_of_range("top_k", sampling.top_k, "0 (off) and above");
  if (!(sampling.top_p > 0 && sampling.top_p <= 1)) {
    return out_of_range("top_p", sampling.top_p, "above 0, to 1 (off)");
  }
  if (!within(sampling.min_p, 0, 1)) return out_of_range("min_p", sampling.min_p, "0 (off) to 1");
  if (!within(sampling.repetition_penalty, 1e-2, 100)) {
    return out_of_range("repetition_penalty", sampling.repetition_penalty, "0.01 to 100");
  }
  if (!within(sampling.presence_penalty, -100, 100)) {
    return out_of_range("presence_penalty", sampling.presence_penalty, "-100 to 100");
  }
  if (!within(sampling.frequency_penalty, -100, 100)) {
    return out_of_range("frequency_penalty", sampling.frequency_penalty, "-100 to 100");
  }
  if (sampling.num_logprobs < -1 || sampling.num_logprobs > kMaxLogprobs) {
    return out_of_range("logprobs", sampling.num_logprobs, "0 to 20");
  }
  return ok_status();
}

Status check_ids(const GenerationParams& params, int64_t vocabulary_size) {
  const std::string allowed = format_text("the ids 0 to {}", vocabulary_size - 1);
  for (const auto& [id, bias] : params.sampling.logit_bias) {
    if (id < 0 || id >= vocabulary_size) {
      return out_of_range("logit_bias token id", id, allowed);
    }
    if (!within(bias, -1e4, 1e4)) return out_of_range("logit_bias", bias, "-10000 to 10000");
  }
  for (const TokenId id : params.stop_token_ids) {
    if (id < 0 || id >= vocabulary_size) {
      return out_of_range("stop_token_ids", id, allowed);
    }
  }
  return ok_status();
}

Status check_counts(const GenerationParams& params) {
  if (params.max_tokens < 1 || params.max_tokens > kMaxTokens) {
    return out_of_range("max_tokens", params.max_tokens, "1 to 16777216");
  }
  if (params.sampling.min_tokens < 0 || params.sampling.min_tokens > params.max_tokens) {
    return out_of_range("min_tokens",
                        params.sampling.min_tokens,
                        format_text("0 to max_tokens, {}", params.max_tokens));
  }
  if (params.num_choices < 1 || params.num_choices > kMaxChoices) {
    return out_of_range("n", params.num_choices, "1 to 64");
  }
  if (params.num_prompt_logprobs < -1 || params.num_prompt_logprobs > kMaxLogprobs) {
    return out_of_range("prompt_logprobs", params.num_prompt_logprobs, "0 to 20");
  }
  if (params.sampling.logit_bias.size() > kMaxLogitBias) {
    return out_of_range(
        "the number of logit_bias entries", params.sampling.logit_bias.size(), "at most 4096");
  }
  if (params.stop.size() > kMaxStops || params.stop_token_ids.size() > kMaxStops) {
    return out_of_range("the number of stops",
                        params.stop.size() + params.stop_token_ids.size(),
                        "at most 64 strings and 64 ids");
  }
  for (const std::string& stop : params.stop) {
    if (stop.empty() || stop.size() > kMaxStopBytes) {
      return out_of_range("the length of a stop string", stop.size(), "1 to 1024 bytes");
    }
  }
  return ok_status();
}

}  // namespace

Status validate(const GenerationParams& params, int64_t vocabulary_size) {
  RETURN_IF_ERROR(check_numbers(params.sampling));
  RETURN_IF_ERROR(check_counts(params));
  return check_ids(params, vocabulary_size);
}

}  // namespace trireme
