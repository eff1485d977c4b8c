#include "coordinator/doors/admission.h"

#include "proto/credit.h"

namespace trireme {
namespace {

Status check_prompt_kind(const door::Submit& submit, const AdmissionRules& rules) {
  if (!submit.model.empty() && submit.model != rules.model_name) {
    return invalid(
        "TRI-REQ-082",
        "no model '{}' is served here, only '{}'; leave the field empty or ask ListModels",
        submit.model,
        rules.model_name);
  }
  if (std::holds_alternative<std::monostate>(submit.prompt)) {
    return invalid("TRI-REQ-084", "the request has no prompt; set text or token_ids");
  }
  if (std::holds_alternative<door::Messages>(submit.prompt)) {
    return invalid("TRI-REQ-085",
                   "messages are not supported yet; send the prompt as text or token_ids");
  }
  if (std::holds_alternative<std::string>(submit.prompt) && !rules.has_tokenizer) {
    return invalid("TRI-REQ-086",
                   "model '{}' takes no text: {}; token_ids work without a tokenizer",
                   rules.model_name,
                   rules.no_tokenizer);
  }
  return ok_status();
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
    case door::OnDisconnect::kContinue:
      return OnDisconnect::kContinue;
    case door::OnDisconnect::kDefault:
    case door::OnDisconnect::kCancel:
      break;
  }
  return OnDisconnect::kCancel;
}

Status check_probes(const door::Submit& submit, const AdmissionRules& rules) {
  if (submit.kind != door::Kind::kProbe) {
    if (submit.probes.empty()) return ok_status();
    return invalid("TRI-REQ-092", "probes stand in a request whose kind is not PROBE");
  }
  if (!rules.allow_probes) {
    return invalid("TRI-REQ-091", "probes are off in this cluster; start it with --allow-probes");
  }
  if (submit.probes.empty() || submit.probes.size() > kMaxProbes) {
    return invalid("TRI-REQ-092",
                   "the request has {} probes, allowed is 1 to {}",
                   submit.probes.size(),
                   kMaxProbes);
  }
  for (const door::ProbePoint& probe : submit.probes) {
    if (probe.layer >= -1 && probe.layer <= rules.num_layers) continue;
    return invalid("TRI-REQ-092",
                   "a probe asks for layer {}, allowed is -1 (logits) to {}",
                   probe.layer,
                   rules.num_layers);
  }
  return ok_status();
}

}  // namespace

StatusOr<SubmitRequest> admit(door::Submit& submit, const AdmissionRules& rules) {
  RETURN_IF_ERROR(check_prompt_kind(submit, rules));
  RETURN_IF_ERROR(check_probes(submit, rules));
  SubmitRequest request;
  request.client_tag = submit.tag;
  request.idempotency_key = std::move(submit.idempotency_key);
  request.traceparent = std::move(submit.traceparent);
  request.kind = kind_of(submit.kind);
  request.params = merge(submit.sampling, rules.sampling_defaults);
  RETURN_IF_ERROR(validate(request.params, rules.vocabulary_size));
  request.on_disconnect = choice_of(submit.on_disconnect);
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

Status check_prompt(const SubmitRequest& request, const AdmissionRules& rules) {
  const int64_t length = static_cast<int64_t>(request.prompt.size());
  if (length == 0) return invalid("TRI-REQ-088", "the prompt has no tokens, at least 1 is needed");
  const int32_t answer = request.kind == RequestKind::kGenerate ? 1 : 0;  // shortest
  if (length + answer > rules.max_model_len) {
    return invalid("TRI-REQ-089",
                   "the prompt has {} tokens, at most {} fit (max-model-len is {}{}); shorten it",
                   length,
                   rules.max_model_len - answer,
                   rules.max_model_len,
                   answer > 0 ? ", one token of it for the answer" : "");
  }
  for (const TokenId id : request.prompt) {
    if (id < 0 || id >= rules.vocabulary_size) {
      return invalid("TRI-REQ-087",
                     "token id {} is not in the vocabulary, allowed is 0 to {}",
                     id,
                     rules.vocabulary_size - 1);
    }
  }
  for (const ProbeRequest& probe : request.probes) {
    if (probe.position >= 0 && probe.position < length) continue;
    return invalid("TRI-REQ-092",
                   "a probe asks for position {}, the prompt has positions 0 to {}",
                   probe.position,
                   length - 1);
  }
  return ok_status();
}

}  // namespace trireme
