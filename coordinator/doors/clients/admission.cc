#include "coordinator/doors/clients/admission.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "proto/credit.h"

namespace trireme {
namespace {

Status check_model(const door::Submit& submit, const AdmissionRules& rules) {
  if (submit.model.empty() || submit.model == rules.model_name) return ok_status();
  return with_field(
      not_found("TRI-REQ-082",
                "no model '{}' is served here, only '{}'; leave the field empty or ask ListModels",
                submit.model,
                rules.model_name),
      "model");
}

Status check_prompt_kind(const door::Submit& submit, const AdmissionRules& rules) {
  if (std::holds_alternative<std::monostate>(submit.prompt)) {
    return with_field(
        invalid("TRI-REQ-084", "the request has no prompt; set text, token_ids or chat"), "prompt");
  }
  if (std::holds_alternative<std::string>(submit.prompt)) return takes_text(rules);
  if (std::holds_alternative<std::vector<TokenId>>(submit.prompt)) return ok_status();
  return takes_chat(rules);
}

const char* name_of(door::Structure::Kind kind) {
  switch (kind) {
    case door::Structure::Kind::kNone:
      return "";
    case door::Structure::Kind::kJsonObject:
      return "json_object";
    case door::Structure::Kind::kJsonSchema:
      return "json_schema";
    case door::Structure::Kind::kRegex:
      return "regex";
    case door::Structure::Kind::kGrammar:
      break;
  }
  return "grammar";
}

// The one place that refuses an answer of a given shape.
Status check_structure(const door::Structure& structure) {
  if (structure.kind == door::Structure::Kind::kNone) return ok_status();
  return with_field(
      invalid("TRI-REQ-095",
              "an answer of a given shape (structure.{}) is not supported yet; leave it out",
              name_of(structure.kind)),
      "structure");
}

GenerationParams merge(const door::Sampling& sampling, const SamplingParams& defaults) {
  GenerationParams params;
  SamplingParams& drawn = params.sampling;
  drawn = defaults;
  drawn.temperature = sampling.temperature.value_or(defaults.temperature);
  drawn.top_k = sampling.top_k.value_or(defaults.top_k);
  drawn.top_p = sampling.top_p.value_or(defaults.top_p);
  drawn.min_p = sampling.min_p.value_or(defaults.min_p);
  drawn.repetition_penalty = sampling.repetition_penalty.value_or(defaults.repetition_penalty);
  drawn.presence_penalty = sampling.presence_penalty.value_or(defaults.presence_penalty);
  drawn.frequency_penalty = sampling.frequency_penalty.value_or(defaults.frequency_penalty);
  if (!sampling.logit_bias.empty()) drawn.logit_bias = sampling.logit_bias;
  drawn.min_tokens = sampling.min_tokens.value_or(defaults.min_tokens);
  drawn.num_logprobs = sampling.logprobs.value_or(-1);
  params.max_tokens = sampling.max_tokens.value_or(params.max_tokens);
  params.stop = sampling.stop;
  params.stop_token_ids = sampling.stop_token_ids;
  params.ignore_eos = sampling.ignore_eos;
  params.seed = sampling.seed;
  params.num_choices = sampling.n.value_or(1);
  params.skip_special_tokens = sampling.skip_special_tokens.value_or(true);
  params.include_stop_in_output = sampling.include_stop_str_in_output;
  params.echo = sampling.echo;
  params.num_prompt_logprobs = sampling.prompt_logprobs.value_or(-1);
  return params;
}

RequestKind kind_of(door::Kind kind) {
  switch (kind) {
    case door::Kind::kGenerate:
      return RequestKind::kGenerate;
    case door::Kind::kScore:
      return RequestKind::kScore;
    case door::Kind::kProbe:
      break;
  }
  return RequestKind::kProbe;
}

OnDisconnect choice_of(door::OnDisconnect choice) {
  switch (choice) {
    case door::OnDisconnect::kCancel:
      return OnDisconnect::kCancel;
    case door::OnDisconnect::kDefault:
    case door::OnDisconnect::kContinue:
      break;
  }
  return OnDisconnect::kContinue;
}

Status check_probes(const door::Submit& submit, const AdmissionRules& rules) {
  if (submit.kind != door::Kind::kProbe) {
    if (submit.probes.empty()) return ok_status();
    return with_field(invalid("TRI-REQ-092", "probes stand in a request whose kind is not PROBE"),
                      "probe_positions");
  }
  if (!rules.allow_probes) {
    return with_field(
        invalid("TRI-REQ-091", "probes are off in this cluster; start it with --allow-probes"),
        "kind");
  }
  if (submit.probes.empty() || submit.probes.size() > kMaxProbes) {
    return with_field(invalid("TRI-REQ-092",
                              "the request has {} probes, allowed is 1 to {}",
                              submit.probes.size(),
                              kMaxProbes),
                      "probe_positions");
  }
  for (const door::ProbePoint& probe : submit.probes) {
    if (probe.layer >= -1 && probe.layer <= rules.num_layers) continue;
    return with_field(invalid("TRI-REQ-092",
                              "a probe asks for layer {}, allowed is -1 (logits) to {}",
                              probe.layer,
                              rules.num_layers),
                      "probe_layers");
  }
  return ok_status();
}

}  // namespace

StatusOr<SubmitRequest> admit(door::Submit& submit, const AdmissionRules& rules) {
  RETURN_IF_ERROR(check_model(submit, rules));
  RETURN_IF_ERROR(check_structure(submit.structure));
  RETURN_IF_ERROR(check_prompt_kind(submit, rules));
  RETURN_IF_ERROR(check_probes(submit, rules));
  SubmitRequest request;
  request.client_tag = submit.tag;
  request.principal = std::move(submit.principal);
  request.priority = submit.priority;
  request.idempotency_key = std::move(submit.idempotency_key);
  request.cache_salt = std::move(submit.cache_salt);
  request.traceparent = std::move(submit.traceparent);
  request.client_request_id = std::move(submit.client_request_id);
  request.client_state = std::move(submit.client_state);
  request.progress_interval_us = int64_t{1000} * submit.progress_interval_ms;
  request.token_bytes = submit.token_bytes;
  request.want_prompt_ids = submit.want_prompt_ids;
  request.kind = kind_of(submit.kind);
  request.params = merge(submit.sampling, rules.sampling_defaults);
  RETURN_IF_ERROR(validate(request.params, rules.vocabulary_size));
  request.on_disconnect = choice_of(submit.on_disconnect);
  request.disconnect_grace_us = int64_t{1000} * submit.disconnect_grace_ms;
  request.nonce = submit.nonce;
  request.credit_bytes = submit.credit_bytes > 0 ? submit.credit_bytes : kDefaultCreditBytes;
  for (const door::ProbePoint& probe : submit.probes) {
    request.probes.push_back({0, probe.position, probe.layer});
  }
  if (auto* ids = std::get_if<std::vector<TokenId>>(&submit.prompt)) {
    request.prompt = std::move(*ids);
    RETURN_IF_ERROR(check_prompt(request, rules));
  }
  return request;
}

Status takes_text(const AdmissionRules& rules) {
  if (rules.has_tokenizer) return ok_status();
  return with_field(invalid("TRI-REQ-086",
                            "model '{}' takes no text: {}; token_ids work without a tokenizer",
                            rules.model_name,
                            rules.no_tokenizer),
                    "text");
}

Status takes_chat(const AdmissionRules& rules) {
  if (!rules.has_tokenizer) return with_field(takes_text(rules), "messages");
  return with_field(rules.chat, "messages");
}

ChatRequest chat_of(const door::Messages& messages) {
  nlohmann::ordered_json array = nlohmann::ordered_json::array();
  for (const door::ChatMessage& message : messages) {
    array.push_back({{"role", message.role}, {"content", message.content}});
  }
  ChatRequest chat;
  chat.messages_json = array.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  chat.raw = true;
  return chat;
}

Status check_ids(const std::vector<TokenId>& ids, int64_t vocabulary_size) {
  for (const TokenId id : ids) {
    if (id >= 0 && id < vocabulary_size) continue;
    return invalid("TRI-REQ-087",
                   "token id {} is not in the vocabulary, allowed is 0 to {}",
                   id,
                   vocabulary_size - 1);
  }
  return ok_status();
}

static Status too_long(int64_t length, int32_t answer, const AdmissionRules& rules) {
  return invalid("TRI-REQ-089",
                 "the prompt has {} tokens, at most {} fit (max-model-len is {}{}); shorten it",
                 length,
                 rules.max_model_len - answer,
                 rules.max_model_len,
                 answer > 0 ? ", one token of it for the answer" : "");
}

void clamp_length(SubmitRequest& request, const AdmissionRules& rules) {
  if (rules.max_model_len <= 0) return;
  const auto length = static_cast<int32_t>(request.prompt.size());
  const int32_t left = std::max(1, rules.max_model_len - length);
  request.params.max_tokens = std::min(request.params.max_tokens, left);
}

Status check_prompt(const SubmitRequest& request, const AdmissionRules& rules) {
  const int64_t length = static_cast<int64_t>(request.prompt.size());
  if (length == 0) {
    return with_field(invalid("TRI-REQ-088", "the prompt has no tokens, at least 1 is needed"),
                      "prompt");
  }
  const int32_t answer = request.kind == RequestKind::kGenerate ? 1 : 0;  // shortest
  if (length + answer > rules.max_model_len) {
    return with_field(too_long(length, answer, rules), "prompt");
  }
  RETURN_IF_ERROR(with_field(check_ids(request.prompt, rules.vocabulary_size), "token_ids"));
  for (const ProbeRequest& probe : request.probes) {
    if (probe.position >= 0 && probe.position < length) continue;
    return with_field(invalid("TRI-REQ-092",
                              "a probe asks for position {}, the prompt has positions 0 to {}",
                              probe.position,
                              length - 1),
                      "probe_positions");
  }
  return ok_status();
}

}  // namespace trireme
