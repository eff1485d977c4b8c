#include "model/sampling_params.h"

#include "base/step_memory.h"
#include "base/text.h"
#include "model/sampling_ranges.h"

namespace trireme {

namespace {

constexpr size_t kMaxStops = kMaxStopStrings;
constexpr size_t kMaxStopBytes = 1024;

template <class Value>
Status check(std::string_view field, Value value, const NumberRange& range) {
  if (range.holds(value)) return ok_status();
  return out_of_range(field, format_exactly(value), range.allowed);
}

template <class Value>
Status check(std::string_view field, Value value) {
  return check(field, value, sampling_range(field));
}

Status check_numbers(const SamplingParams& sampling) {
  RETURN_IF_ERROR(check("temperature", sampling.temperature));
  RETURN_IF_ERROR(check("top_k", sampling.top_k));
  RETURN_IF_ERROR(check("top_p", sampling.top_p));
  RETURN_IF_ERROR(check("min_p", sampling.min_p));
  RETURN_IF_ERROR(check("repetition_penalty", sampling.repetition_penalty));
  RETURN_IF_ERROR(check("presence_penalty", sampling.presence_penalty));
  RETURN_IF_ERROR(check("frequency_penalty", sampling.frequency_penalty));
  return sampling.num_logprobs == -1 ? ok_status() : check("logprobs", sampling.num_logprobs);
}

Status check_ids(const GenerationParams& params, int64_t vocabulary_size) {
  const std::string allowed = format_text("the ids 0 to {}", vocabulary_size - 1);
  const NumberRange& bias_range = sampling_range("logit_bias");
  for (const auto& [id, bias] : params.sampling.logit_bias) {
    if (id < 0 || id >= vocabulary_size) {
      return with_field(out_of_range("logit_bias token id", format_exactly(id), allowed),
                        "logit_bias");
    }
    RETURN_IF_ERROR(check("logit_bias", bias, bias_range));
  }
  for (const TokenId id : params.stop_token_ids) {
    if (id < 0 || id >= vocabulary_size) {
      return out_of_range("stop_token_ids", format_exactly(id), allowed);
    }
  }
  return ok_status();
}

Status check_counts(const GenerationParams& params) {
  RETURN_IF_ERROR(check("max_tokens", params.max_tokens));
  if (params.sampling.min_tokens < 0 || params.sampling.min_tokens > params.max_tokens) {
    return out_of_range("min_tokens",
                        format_exactly(params.sampling.min_tokens),
                        format_text("0 to max_tokens, {}", params.max_tokens));
  }
  RETURN_IF_ERROR(check("n", params.num_choices));
  if (params.num_prompt_logprobs != -1) {
    RETURN_IF_ERROR(check("prompt_logprobs", params.num_prompt_logprobs));
  }
  if (params.sampling.logit_bias.size() > kMaxLogitBias) {
    return with_field(out_of_range("the number of logit_bias entries",
                                   format_exactly(params.sampling.logit_bias.size()),
                                   "at most 4096"),
                      "logit_bias");
  }
  if (params.stop.size() > kMaxStops || params.stop_token_ids.size() > kMaxStops) {
    return with_field(
        out_of_range("the number of stops",
                     format_exactly(params.stop.size() + params.stop_token_ids.size()),
                     "at most 64 strings and 64 ids"),
        params.stop.size() > kMaxStops ? "stop" : "stop_token_ids");
  }
  for (const std::string& stop : params.stop) {
    if (stop.empty() || stop.size() > kMaxStopBytes) {
      return with_field(
          out_of_range(
              "the length of a stop string", format_exactly(stop.size()), "1 to 1024 bytes"),
          "stop");
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
