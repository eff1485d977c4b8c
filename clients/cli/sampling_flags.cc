#include "clients/cli/sampling_flags.h"

#include <algorithm>
#include <limits>
#include <nlohmann/json.hpp>

#include "base/text.h"
#include "clients/cli/request_numbers.h"
#include "model/sampling_params.h"

namespace trireme {

namespace {

using Json = nlohmann::ordered_json;

constexpr char kFlagId[] = "TRI-ARGS-003";  // a flag of the wrong type
constexpr char kFieldId[] = "TRI-RUN-020";  // a field of the wrong type

template <class T>
void add_optional(FlagSet& flags,
                  const std::string& name,
                  std::optional<T>& target,
                  const char* help,
                  const char* group) {
  std::string field = name;
  std::ranges::replace(field, '-', '_');
  flags.add_custom(name, help, group, [&target, field](const std::string& text) -> Status {
    ASSIGN_OR_RETURN(const Json number, number_of(text));
    return read_number(field, number, kFlagId, target);
  });
}

StatusOr<TokenId> parse_id(const char* field, const std::string& text, const char* type_id) {
  const StatusOr<Json> number = number_of(text);
  return read_token_id(field, number.ok() ? *number : Json(text), type_id);
}

// "12:1.5,40:-100"
Status parse_bias(const std::string& text, std::vector<std::pair<TokenId, float>>& bias) {
  for (const std::string& pair : split(text, ',')) {
    const size_t colon = pair.find(':');
    if (colon == std::string::npos) {
      return invalid(kFlagId, "\"{}\" is not a bias; write ID:BIAS,ID:BIAS", pair);
    }
    ASSIGN_OR_RETURN(const TokenId id, parse_id("logit_bias", pair.substr(0, colon), kFlagId));
    ASSIGN_OR_RETURN(const Json number, number_of(pair.substr(colon + 1)));
    std::optional<float> value;
    RETURN_IF_ERROR(read_number("logit_bias", number, kFlagId, value));
    bias.emplace_back(id, *value);
  }
  return ok_status();
}

// Reads one field after another; keeps the first error.
class FieldTaker {
 public:
  explicit FieldTaker(Json& json) : json_(json) {}

  template <class T>
  void number(const char* key, std::optional<T>& target) {
    take(key, [&](const Json& value) { return read_number(key, value, kFieldId, target); });
  }
  template <class Target>  // bool, or an optional one
  void boolean(const char* key, Target& target) {
    take(key, [&](const Json& value) -> Status {
      if (!value.is_boolean()) return wrong_type(key, value, kFieldId, "true or false");
      target = value.get<bool>();
      return ok_status();
    });
  }
  // `read` gets the value of the field, unless it is absent or null.
  template <class Read>
  void take(const char* key, const Read& read) {
    const auto found = json_.find(key);
    if (found == json_.end()) return;
    if (!found->is_null() && status_.ok()) status_ = read(*found);
    json_.erase(found);
  }
  const Status& status() const { return status_; }

 private:
  Json& json_;
  Status status_;
};

Status read_strings(const char* key, const Json& value, std::vector<std::string>& strings) {
  strings.clear();
  for (const Json& item : value.is_array() ? value : Json::array({value})) {
    if (!item.is_string()) return wrong_type(key, value, kFieldId, "a string or a list of them");
    strings.push_back(item.get<std::string>());
  }
  return ok_status();
}

Status read_ids(const char* key, const Json& value, std::vector<TokenId>& ids) {
  ids.clear();
  if (!value.is_array()) return wrong_type(key, value, kFieldId, "a list of token ids");
  for (const Json& item : value) {
    ASSIGN_OR_RETURN(const TokenId id, read_token_id(key, item, kFieldId));
    ids.push_back(id);
  }
  return ok_status();
}

// {"12": 1.5, "40": -100}
Status read_bias(const char* key, const Json& value, std::vector<std::pair<TokenId, float>>& bias) {
  bias.clear();
  if (!value.is_object()) return wrong_type(key, value, kFieldId, "an object of token id and bias");
  for (const auto& [text, weight] : value.items()) {
    ASSIGN_OR_RETURN(const TokenId id, parse_id(key, text, kFieldId));
    std::optional<float> number;
    RETURN_IF_ERROR(read_number(key, weight, kFieldId, number));
    bias.emplace_back(id, *number);
  }
  return ok_status();
}

}  // namespace

void add_sampling_flags(FlagSet& flags, door::Sampling& sampling) {
  const char* group = "Sampling";
  add_optional(
      flags, "max-tokens", sampling.max_tokens, "maximum tokens of an answer (256)", group);
  add_optional(flags, "temperature", sampling.temperature, "divides the logits; 0: greedy", group);
  add_optional(flags, "top-p", sampling.top_p, "probability mass to keep; 1: all", group);
  add_optional(flags, "top-k", sampling.top_k, "number of tokens to keep; 0: all", group);
  add_optional(flags, "seed", sampling.seed, "equal seeds draw equal answers", group);
  add_optional(flags, "n", sampling.n, "answers per prompt", group);
  const char* more = "More sampling";
  add_optional(flags, "min-p", sampling.min_p, "minimum share of the top probability", more);
  add_optional(flags, "min-tokens", sampling.min_tokens, "minimum tokens of an answer", more);
  add_optional(flags,
               "repetition-penalty",
               sampling.repetition_penalty,
               "for tokens of prompt and answer; 1: off",
               more);
  add_optional(flags,
               "presence-penalty",
               sampling.presence_penalty,
               "for tokens of the answer; 0: off",
               more);
  add_optional(flags,
               "frequency-penalty",
               sampling.frequency_penalty,
               "per occurrence in the answer; 0: off",
               more);
  flags.add_custom("logit-bias", "ID:BIAS,ID:BIAS", more, [&sampling](const std::string& text) {
    return parse_bias(text, sampling.logit_bias);
  });
  flags.add("stop", &sampling.stop, "string that ends the answer; repeatable", more);
  flags.add_custom("stop-token-ids",
                   "ids that end the answer: 2,3",
                   more,
                   [&sampling](const std::string& text) -> Status {
                     for (const std::string& part : split(text, ',')) {
                       ASSIGN_OR_RETURN(const TokenId id,
                                        parse_id("stop_token_ids", part, kFlagId));
                       sampling.stop_token_ids.push_back(id);
                     }
                     return ok_status();
                   });
  flags.add("ignore-eos", &sampling.ignore_eos, "continue after the model's end token", more);
  add_optional(flags, "logprobs", sampling.logprobs, "of each token and the top N ids", more);
  add_optional(flags, "prompt-logprobs", sampling.prompt_logprobs, "the same for the prompt", more);
  flags.add("skip-special-tokens",
            &sampling.skip_special_tokens,
            "omit special tokens from the text (default on)",
            more);
  flags.add("include-stop-str-in-output",
            &sampling.include_stop_str_in_output,
            "keep the stop string in the text",
            more);
  flags.add("echo", &sampling.echo, "begin the text with the prompt", more);
}

void add_priority_flag(FlagSet& flags, door::Submit& submit) {
  flags.add(
      "priority", &submit.priority, "a lower number leaves the queue earlier (0)", "More sampling");
}

Status read_priority(Json& json, door::Submit& submit) {
  FieldTaker taker(json);
  taker.take("priority", [&](const Json& value) -> Status {
    const double number = value.is_number_integer() ? value.get<double>() : 0.5;
    if (number != static_cast<int32_t>(std::clamp(number, -0x1p31, 0x1p31 - 1))) {
      return wrong_type("priority", value, kFieldId, "a whole number of 32 bits");
    }
    submit.priority = value.get<int32_t>();
    return ok_status();
  });
  return taker.status();
}

Status read_sampling(Json& json, door::Sampling& sampling) {
  FieldTaker taker(json);
  taker.number("max_tokens", sampling.max_tokens);
  taker.number("min_tokens", sampling.min_tokens);
  taker.number("temperature", sampling.temperature);
  taker.number("top_k", sampling.top_k);
  taker.number("top_p", sampling.top_p);
  taker.number("min_p", sampling.min_p);
  taker.number("repetition_penalty", sampling.repetition_penalty);
  taker.number("presence_penalty", sampling.presence_penalty);
  taker.number("frequency_penalty", sampling.frequency_penalty);
  taker.number("seed", sampling.seed);
  taker.number("n", sampling.n);
  taker.number("logprobs", sampling.logprobs);
  taker.number("prompt_logprobs", sampling.prompt_logprobs);
  taker.boolean("ignore_eos", sampling.ignore_eos);
  taker.boolean("include_stop_str_in_output", sampling.include_stop_str_in_output);
  taker.boolean("echo", sampling.echo);
  taker.boolean("skip_special_tokens", sampling.skip_special_tokens);
  taker.take("stop", [&](const Json& value) { return read_strings("stop", value, sampling.stop); });
  taker.take("stop_token_ids", [&](const Json& value) {
    return read_ids("stop_token_ids", value, sampling.stop_token_ids);
  });
  taker.take("logit_bias", [&](const Json& value) {
    return read_bias("logit_bias", value, sampling.logit_bias);
  });
  return taker.status();
}

Status check_sampling(const door::Sampling& sampling, int64_t vocabulary_size) {
  GenerationParams params;
  params.sampling.temperature = sampling.temperature.value_or(1);
  params.sampling.top_k = sampling.top_k.value_or(0);
  params.sampling.top_p = sampling.top_p.value_or(1);
  params.sampling.min_p = sampling.min_p.value_or(0);
  params.sampling.repetition_penalty = sampling.repetition_penalty.value_or(1);
  params.sampling.presence_penalty = sampling.presence_penalty.value_or(0);
  params.sampling.frequency_penalty = sampling.frequency_penalty.value_or(0);
  params.sampling.logit_bias = sampling.logit_bias;
  params.sampling.min_tokens = sampling.min_tokens.value_or(0);
  params.max_tokens = sampling.max_tokens.value_or(params.max_tokens);
  params.stop = sampling.stop;
  params.stop_token_ids = sampling.stop_token_ids;
  params.num_choices = sampling.n.value_or(1);
  // -1 means "none" inside the program and is not a valid request.
  for (const auto& [name, asked] : {std::pair("logprobs", sampling.logprobs),
                                    std::pair("prompt_logprobs", sampling.prompt_logprobs)}) {
    if (asked == -1)
      return invalid("TRI-REQ-001", "{} is -1, allowed are 0 to {}", name, kMaxLogprobs);
  }
  params.sampling.num_logprobs = sampling.logprobs.value_or(-1);
  params.num_prompt_logprobs = sampling.prompt_logprobs.value_or(-1);
  return validate(params,
                  vocabulary_size > 0 ? vocabulary_size : std::numeric_limits<int32_t>::max());
}

}  // namespace trireme
