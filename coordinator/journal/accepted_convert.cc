#include <cmath>

#include "coordinator/journal/entry_convert.h"

namespace trireme::journal {

using wire::RangeCheck;
using wire::to_int32;
using wire::to_int64;

namespace {

void write(const GenerationParams& from, v1::JournalSampling& to) {
  const SamplingParams& sampling = from.sampling;
  to.set_temperature(sampling.temperature);
  to.set_top_k(static_cast<uint32_t>(sampling.top_k));
  to.set_top_p(sampling.top_p);
  to.set_min_p(sampling.min_p);
  to.set_repetition_penalty(sampling.repetition_penalty);
  to.set_presence_penalty(sampling.presence_penalty);
  to.set_frequency_penalty(sampling.frequency_penalty);
  for (const auto& [id, bias] : sampling.logit_bias) {
    to.add_logit_bias_ids(static_cast<uint32_t>(id));
    to.add_logit_bias_values(bias);
  }
  to.set_min_tokens(static_cast<uint32_t>(sampling.min_tokens));
  wire::put(sampling.end_ids, to.mutable_end_ids());
  to.set_num_logprobs(sampling.num_logprobs);
  to.set_max_tokens(static_cast<uint32_t>(from.max_tokens));
  for (const std::string& stop : from.stop) to.add_stop(stop);
  wire::put(from.stop_token_ids, to.mutable_stop_token_ids());
  to.set_ignore_eos(from.ignore_eos);
  if (from.seed) to.set_seed(*from.seed);
  to.set_num_choices(static_cast<uint32_t>(from.num_choices));
  to.set_skip_special_tokens(from.skip_special_tokens);
  to.set_include_stop_in_output(from.include_stop_in_output);
  to.set_echo(from.echo);
  to.set_num_prompt_logprobs(from.num_prompt_logprobs);
}

float read_float(RangeCheck& check, float value, const char* field) {
  if (!std::isfinite(value)) check.fail(field, "is not finite");
  return value;
}

void read(RangeCheck& check, const v1::JournalSampling& from, GenerationParams& to) {
  SamplingParams& sampling = to.sampling;
  sampling.temperature = read_float(check, from.temperature(), "temperature");
  sampling.top_k = to_int32(check, from.top_k(), "top_k");
  sampling.top_p = read_float(check, from.top_p(), "top_p");
  sampling.min_p = read_float(check, from.min_p(), "min_p");
  sampling.repetition_penalty = read_float(check, from.repetition_penalty(), "repetition_penalty");
  sampling.presence_penalty = read_float(check, from.presence_penalty(), "presence_penalty");
  sampling.frequency_penalty = read_float(check, from.frequency_penalty(), "frequency_penalty");
  check.same_length(from.logit_bias_ids_size(), from.logit_bias_values_size(), "logit_bias_values");
  for (int i = 0; check.ok() && i < from.logit_bias_ids_size(); ++i) {
    sampling.logit_bias.emplace_back(to_int32(check, from.logit_bias_ids(i), "logit_bias_ids"),
                                     read_float(check, from.logit_bias_values(i), "logit_bias"));
  }
  sampling.min_tokens = to_int32(check, from.min_tokens(), "min_tokens");
  wire::take(check, from.end_ids(), sampling.end_ids, "end_ids");
  check.number(from.num_logprobs(), kMaxLogprobs, "num_logprobs", -1);
  sampling.num_logprobs = from.num_logprobs();
  to.max_tokens = to_int32(check, from.max_tokens(), "max_tokens");
  check.number(from.stop_size(), kMaxStopStrings, "stop (their number)");
  to.stop.assign(from.stop().begin(), from.stop().end());
  wire::take(check, from.stop_token_ids(), to.stop_token_ids, "stop_token_ids");
  to.ignore_eos = from.ignore_eos();
  if (from.has_seed()) to.seed = from.seed();
  check.number(from.num_choices(), kMaxChoices, "num_choices", 1);
  if (from.num_choices() == 0) check.fail("num_choices", "is 0");
  to.num_choices = to_int32(check, from.num_choices(), "num_choices");
  to.skip_special_tokens = from.skip_special_tokens();
  to.include_stop_in_output = from.include_stop_in_output();
  to.echo = from.echo();
  check.number(from.num_prompt_logprobs(), kMaxLogprobs, "num_prompt_logprobs", -1);
  to.num_prompt_logprobs = from.num_prompt_logprobs();
}

void write(const AnswerFormat& from, v1::JournalFormat& to) {
  for (const ToolTypes& tool : from.tools) {
    v1::JournalTool& entry = *to.add_tools();
    entry.set_name(tool.name);
    for (const auto& [name, type] : tool.parameters) {
      entry.add_parameters(name);
      entry.add_types(static_cast<uint32_t>(type));
    }
  }
  to.set_reads_calls(from.reads_calls);
  to.set_one_call(from.one_call);
  to.set_opened(from.opened);
  to.set_forced(from.forced);
}

void read(RangeCheck& check, const v1::JournalFormat& from, AnswerFormat& to) {
  for (const v1::JournalTool& entry : from.tools()) {
    ToolTypes& tool = to.tools.emplace_back();
    tool.name = entry.name();
    check.same_length(entry.parameters_size(), entry.types_size(), "types");
    for (int i = 0; check.ok() && i < entry.types_size(); ++i) {
      constexpr auto kLast = static_cast<int64_t>(ParameterType::kStringOrNull);
      check.number(entry.types(i), kLast, "types");
      if (check.ok()) {
        tool.parameters.emplace_back(entry.parameters(i),
                                     static_cast<ParameterType>(entry.types(i)));
      }
    }
  }
  to.reads_calls = from.reads_calls();
  to.one_call = from.one_call();
  to.opened = from.opened();
  to.forced = from.forced();
}

v1::JournalKind to_wire(RequestKind kind) {
  switch (kind) {
    case RequestKind::kGenerate:
      return v1::JOURNAL_GENERATE;
    case RequestKind::kScore:
      return v1::JOURNAL_SCORE;
    case RequestKind::kProbe:
      break;
  }
  return v1::JOURNAL_PROBE;
}

RequestKind read_kind(RangeCheck& check, v1::JournalKind kind) {
  switch (kind) {
    case v1::JOURNAL_GENERATE:
      return RequestKind::kGenerate;
    case v1::JOURNAL_SCORE:
      return RequestKind::kScore;
    case v1::JOURNAL_PROBE:
      return RequestKind::kProbe;
    default:
      check.unknown(kind, v1::JournalKind_MAX, "kind");
      return RequestKind::kGenerate;
  }
}

void write_submit(const ConvertContext& context,
                  const SubmitRequest& from,
                  v1::JournalAccepted& to) {
  to.set_kind(to_wire(from.kind));
  wire::put(from.prompt, to.mutable_prompt());
  write(from.params, *to.mutable_sampling());
  to.set_principal(from.principal);
  to.set_idempotency_key(from.idempotency_key);
  to.set_digest(from.digest);
  to.set_cache_salt(from.cache_salt);
  to.set_traceparent(from.traceparent);
  to.set_client_request_id(from.client_request_id);
  to.set_client_state(from.client_state);
  to.set_continues(from.on_disconnect == OnDisconnect::kContinue);
  to.set_disconnect_grace_us(static_cast<uint64_t>(from.disconnect_grace_us));
  if (from.deadline_us != 0) to.set_deadline_us(context.to_wall(from.deadline_us));
  to.set_arrived_us(context.to_wall(from.arrived_us));
  to.set_progress_interval_us(static_cast<uint64_t>(from.progress_interval_us));
  to.set_token_bytes(from.token_bytes);
  to.set_want_prompt_ids(from.want_prompt_ids);
  wire::put_member(from.probes, &ProbeRequest::position, to.mutable_probe_positions());
  wire::put_member(from.probes, &ProbeRequest::layer, to.mutable_probe_layers());
  if (from.format != nullptr) write(*from.format, *to.mutable_format());
}

void read_probes(RangeCheck& check,
                 const v1::JournalAccepted& from,
                 std::vector<ProbeRequest>& to) {
  to.resize(static_cast<size_t>(from.probe_positions_size()));
  wire::take_member(check, from.probe_positions(), to, &ProbeRequest::position, "probe_positions");
  check.same_length(from.probe_positions_size(), from.probe_layers_size(), "probe_layers");
  for (int i = 0; check.ok() && i < from.probe_layers_size(); ++i) {
    check.number(from.probe_layers(i), wire::kInt32Max, "probe_layers", -1);
    to[static_cast<size_t>(i)].layer = from.probe_layers(i);
  }
}

void read_submit(const ConvertContext& context,
                 RangeCheck& check,
                 const v1::JournalAccepted& from,
                 SubmitRequest& to) {
  to.kind = read_kind(check, from.kind());
  if (from.prompt().empty()) check.fail("prompt", "is empty");
  wire::take(check, from.prompt(), to.prompt, "prompt");
  read(check, from.sampling(), to.params);
  to.principal = from.principal();
  to.idempotency_key = from.idempotency_key();
  to.digest = from.digest();
  to.cache_salt = from.cache_salt();
  to.traceparent = from.traceparent();
  to.client_request_id = from.client_request_id();
  to.client_state = from.client_state();
  to.on_disconnect = from.continues() ? OnDisconnect::kContinue : OnDisconnect::kCancel;
  to.disconnect_grace_us = to_int64(check, from.disconnect_grace_us(), "disconnect_grace_us");
  if (from.deadline_us() != 0) {
    to.deadline_us = context.from_wall(check, from.deadline_us(), "deadline_us");
    if (to.deadline_us == 0) to.deadline_us = 1;  // 0 would be none
  }
  to.arrived_us = context.from_wall(check, from.arrived_us(), "arrived_us");
  to.progress_interval_us = to_int64(check, from.progress_interval_us(), "progress_interval_us");
  to.token_bytes = from.token_bytes();
  to.want_prompt_ids = from.want_prompt_ids();
  read_probes(check, from, to.probes);
  if (from.has_format()) {
    auto format = std::make_shared<AnswerFormat>();
    format->dialect = context.dialect;
    read(check, from.format(), *format);
    to.format = std::move(format);
  }
}

}  // namespace

void write(const ConvertContext& context, const Accepted& from, v1::JournalAccepted& to) {
  to.set_number(from.number);
  to.set_id(to_bytes(from.request.id));
  to.set_seed(from.request.seed);
  to.set_accepted_us(context.to_wall(from.request.accepted_us));
  write_submit(context, from.request.submit, to);
  to.set_model(from.origin.model);
  to.set_tokenizer(from.origin.tokenizer);
  if (from.request.submit.format != nullptr) to.set_chat_template(from.origin.chat_template);
}

void read(const ConvertContext& context,
          RangeCheck& check,
          const v1::JournalAccepted& from,
          Accepted& to) {
  to.number = read_number(check, from.number());
  to.request.id = read_id(check, from.id());
  to.request.seed = from.seed();
  to.request.accepted_us = context.from_wall(check, from.accepted_us(), "accepted_us");
  read_submit(context, check, from, to.request.submit);
  to.origin = {from.model(), from.tokenizer(), from.chat_template()};
}

}  // namespace trireme::journal
