#include "proto/client_convert.h"
#include "proto/credit.h"

namespace trireme {
namespace {

using wire::RangeCheck;
using wire::take;
using wire::to_int32;
using wire::to_int64;

void write(const door::ModelInfo& from, v1::ModelInfo& to) {
  to.set_name(from.name);
  to.set_max_model_len(static_cast<uint32_t>(from.max_model_len));
  to.set_vocabulary_size(static_cast<uint32_t>(from.vocabulary_size));
  to.set_has_tokenizer(from.has_tokenizer);
  wire::put(from.eos_token_ids, to.mutable_eos_token_ids());
  to.set_ready_groups(static_cast<uint32_t>(from.ready_groups));
  to.set_allows_probes(from.allows_probes);
  to.set_num_layers(static_cast<uint32_t>(from.num_layers));
  to.set_hidden_size(static_cast<uint32_t>(from.hidden_size));
}

void read(RangeCheck& check, const v1::ModelInfo& from, door::ModelInfo& to) {
  to.name = from.name();
  to.max_model_len = to_int32(check, from.max_model_len(), "max_model_len");
  to.vocabulary_size = to_int32(check, from.vocabulary_size(), "vocabulary_size");
  to.has_tokenizer = from.has_tokenizer();
  take(check, from.eos_token_ids(), to.eos_token_ids, "eos_token_ids");
  to.ready_groups = to_int32(check, from.ready_groups(), "ready_groups");
  to.allows_probes = from.allows_probes();
  to.num_layers = to_int32(check, from.num_layers(), "num_layers");
  to.hidden_size = to_int32(check, from.hidden_size(), "hidden_size");
}

template <class Field>
void read_models(RangeCheck& check, const Field& from, std::vector<door::ModelInfo>& to) {
  to.resize(static_cast<size_t>(from.size()));
  for (int i = 0; i < from.size(); ++i) read(check, from[i], to[static_cast<size_t>(i)]);
}

void write(const door::TokenLogprob& from, v1::TokenLogprob& to) {
  to.set_token_id(static_cast<uint32_t>(from.token.id));
  to.set_logprob(from.token.logprob);
  for (const TokenAndLogprob& top : from.top) {
    to.add_top_ids(static_cast<uint32_t>(top.id));
    to.add_top_logprobs(top.logprob);
  }
}

template <class Field>
void read_logprobs(RangeCheck& check, const Field& from, std::vector<door::TokenLogprob>& to) {
  to.resize(static_cast<size_t>(from.size()));
  for (int i = 0; i < from.size(); ++i) {
    const v1::TokenLogprob& entry = from[i];
    door::TokenLogprob& value = to[static_cast<size_t>(i)];
    value.token = {to_int32(check, entry.token_id(), "token_id"), entry.logprob()};
    check.same_length(entry.top_ids_size(), entry.top_logprobs_size(), "top_logprobs");
    for (int j = 0; check.ok() && j < entry.top_ids_size(); ++j) {
      value.top.push_back({to_int32(check, entry.top_ids(j), "top_ids"), entry.top_logprobs(j)});
    }
  }
}

void write(const door::GroupStatus& from, v1::GroupStatus& to) {
  to.set_group(static_cast<uint32_t>(from.group));
  to.set_epoch(from.epoch);
  to.set_state(from.state);
  to.set_tp(static_cast<uint32_t>(from.tp));
  to.set_pp(static_cast<uint32_t>(from.pp));
  to.set_pages(static_cast<uint32_t>(from.pages));
  to.set_pages_held(static_cast<uint32_t>(from.pages_held));
  to.set_pages_cached(static_cast<uint32_t>(from.pages_cached));
  to.set_slots_used(static_cast<uint32_t>(from.slots_used));
  to.set_max_slots(static_cast<uint32_t>(from.max_slots));
  to.set_steps(static_cast<uint64_t>(from.steps));
  to.set_plans_in_flight(static_cast<uint32_t>(from.plans_in_flight));
  to.set_last_cause(from.last_cause);
  to.set_backend(from.backend);
  to.set_dtype(from.dtype);
  to.set_page_tokens(static_cast<uint32_t>(from.page_tokens));
  for (const door::RankStatus& rank : from.ranks) {
    v1::RankStatus& entry = *to.add_ranks();
    entry.set_rank(static_cast<uint32_t>(rank.rank));
    entry.set_host(rank.host);
    entry.set_phase(rank.phase);
    entry.set_progress(rank.progress);
    entry.set_heartbeat_age_ms(static_cast<uint64_t>(rank.heartbeat_age_ms));
    entry.set_pid(static_cast<uint64_t>(rank.pid));
    entry.set_load_bytes(static_cast<uint64_t>(rank.load_bytes));
    entry.set_load_total_bytes(static_cast<uint64_t>(rank.load_total_bytes));
  }
}

void read(RangeCheck& check, const v1::RankStatus& from, door::RankStatus& to) {
  to.rank = to_int32(check, from.rank(), "rank");
  to.host = from.host();
  to.phase = from.phase();
  to.progress = from.progress();
  to.heartbeat_age_ms = to_int64(check, from.heartbeat_age_ms(), "heartbeat_age_ms");
  to.pid = to_int64(check, from.pid(), "pid");
  to.load_bytes = to_int64(check, from.load_bytes(), "load_bytes");
  to.load_total_bytes = to_int64(check, from.load_total_bytes(), "load_total_bytes");
}

void read(RangeCheck& check, const v1::GroupStatus& from, door::GroupStatus& to) {
  to.group = to_int32(check, from.group(), "group");
  to.epoch = from.epoch();
  to.state = from.state();
  to.tp = to_int32(check, from.tp(), "tp");
  to.pp = to_int32(check, from.pp(), "pp");
  to.pages = to_int32(check, from.pages(), "pages");
  to.pages_held = to_int32(check, from.pages_held(), "pages_held");
  to.pages_cached = to_int32(check, from.pages_cached(), "pages_cached");
  to.slots_used = to_int32(check, from.slots_used(), "slots_used");
  to.max_slots = to_int32(check, from.max_slots(), "max_slots");
  to.steps = to_int64(check, from.steps(), "steps");
  to.plans_in_flight = to_int32(check, from.plans_in_flight(), "plans_in_flight");
  to.last_cause = from.last_cause();
  to.backend = from.backend();
  to.dtype = from.dtype();
  to.page_tokens = to_int32(check, from.page_tokens(), "page_tokens");
  to.ranks.resize(static_cast<size_t>(from.ranks_size()));
  for (int i = 0; i < from.ranks_size(); ++i) {
    read(check, from.ranks(i), to.ranks[static_cast<size_t>(i)]);
  }
}

void write(const door::Piece& from, v1::Piece& to) {
  to.set_tag(from.tag);
  to.set_choice(static_cast<uint32_t>(from.choice));
  to.set_first_index(static_cast<uint32_t>(from.first_index));
  wire::put(from.token_ids, to.mutable_token_ids());
  to.set_text(from.text);
  for (const door::TokenLogprob& entry : from.logprobs) write(entry, *to.add_logprobs());
}

void read(RangeCheck& check, const v1::Piece& from, door::Piece& to) {
  to.tag = from.tag();
  to.choice = to_int32(check, from.choice(), "choice");
  to.first_index = to_int32(check, from.first_index(), "first_index");
  take(check, from.token_ids(), to.token_ids, "token_ids");
  to.text = from.text();
  read_logprobs(check, from.logprobs(), to.logprobs);
}

}  // namespace

void write(const door::Welcome& from, v1::Welcome& to) {
  to.set_protocol_major_min(from.protocol_major_min);
  to.set_protocol_major_max(from.protocol_major_max);
  to.set_protocol_minor(from.protocol_minor);
  to.set_server(from.server);
  for (const door::ModelInfo& model : from.models) write(model, *to.add_models());
  v1::Limits& limits = *to.mutable_limits();
  limits.set_max_control_bytes(static_cast<uint64_t>(from.limits.max_control_bytes));
  limits.set_max_prompt_bytes(static_cast<uint64_t>(from.limits.max_prompt_bytes));
  limits.set_max_in_flight(static_cast<uint32_t>(from.limits.max_in_flight));
  limits.set_max_choices(static_cast<uint32_t>(from.limits.max_choices));
  limits.set_max_logprobs(static_cast<uint32_t>(from.limits.max_logprobs));
  limits.set_max_stop_strings(static_cast<uint32_t>(from.limits.max_stop_strings));
  to.set_default_credit_bytes(static_cast<uint64_t>(from.default_credit_bytes));
}

void read(RangeCheck& check, const v1::Welcome& from, door::Welcome& to) {
  to.protocol_major_min = from.protocol_major_min();
  to.protocol_major_max = from.protocol_major_max();
  to.protocol_minor = from.protocol_minor();
  to.server = from.server();
  read_models(check, from.models(), to.models);
  const v1::Limits& limits = from.limits();
  to.limits.max_control_bytes = to_int64(check, limits.max_control_bytes(), "max_control_bytes");
  to.limits.max_prompt_bytes = to_int64(check, limits.max_prompt_bytes(), "max_prompt_bytes");
  to.limits.max_in_flight = to_int32(check, limits.max_in_flight(), "max_in_flight");
  to.limits.max_choices = to_int32(check, limits.max_choices(), "max_choices");
  to.limits.max_logprobs = to_int32(check, limits.max_logprobs(), "max_logprobs");
  to.limits.max_stop_strings = to_int32(check, limits.max_stop_strings(), "max_stop_strings");
  check.number(from.default_credit_bytes(), kMaxCreditBytes, "default_credit_bytes");
  to.default_credit_bytes = static_cast<int64_t>(from.default_credit_bytes());
}

void write(const door::Accepted& from, v1::Accepted& to) {
  to.set_tag(from.tag);
  to.set_request_id(from.request_id);
  to.set_seed(from.seed);
  to.set_prompt_tokens(static_cast<uint32_t>(from.prompt_tokens));
  to.set_repeated_key(from.repeated_key);
}

void read(RangeCheck& check, const v1::Accepted& from, door::Accepted& to) {
  to.tag = from.tag();
  to.request_id = from.request_id();
  to.seed = from.seed();
  to.prompt_tokens = to_int32(check, from.prompt_tokens(), "prompt_tokens");
  to.repeated_key = from.repeated_key();
}

void write(const door::Tokens& from, v1::Tokens& to) {
  for (const door::Piece& piece : from.pieces) write(piece, *to.add_pieces());
}

void read(RangeCheck& check, const v1::Tokens& from, door::Tokens& to) {
  to.pieces.resize(static_cast<size_t>(from.pieces_size()));
  for (int i = 0; i < from.pieces_size(); ++i) {
    read(check, from.pieces(i), to.pieces[static_cast<size_t>(i)]);
  }
}

void write(const door::PromptLogprobs& from, v1::PromptLogprobs& to) {
  to.set_tag(from.tag);
  to.set_first_position(static_cast<uint32_t>(from.first_position));
  for (const door::TokenLogprob& entry : from.entries) write(entry, *to.add_entries());
}

void read(RangeCheck& check, const v1::PromptLogprobs& from, door::PromptLogprobs& to) {
  to.tag = from.tag();
  to.first_position = to_int32(check, from.first_position(), "first_position");
  read_logprobs(check, from.entries(), to.entries);
}

void write(const door::ProbeValues& from, v1::ProbeValues& to) {
  to.set_tag(from.tag);
  to.set_position(static_cast<uint32_t>(from.position));
  to.set_layer(from.layer);
  to.set_offset(static_cast<uint64_t>(from.offset));
  to.set_num_values(static_cast<uint64_t>(from.num_values));
  to.mutable_values()->Add(from.values.begin(), from.values.end());
}

void read(RangeCheck& check, const v1::ProbeValues& from, door::ProbeValues& to) {
  to.tag = from.tag();
  to.position = to_int32(check, from.position(), "position");
  check.number(from.layer(), wire::kInt32Max, "layer", -1);
  to.layer = from.layer();
  to.offset = to_int64(check, from.offset(), "offset");
  to.num_values = to_int64(check, from.num_values(), "num_values");
  if (to.offset > to.num_values - from.values_size())
    check.fail("values", "goes beyond num_values");
  to.values.assign(from.values().begin(), from.values().end());
}

static v1::FinishReason to_wire(door::FinishReason reason) {
  switch (reason) {
    case door::FinishReason::kStop:
      return v1::STOP;
    case door::FinishReason::kLength:
      return v1::LENGTH;
    case door::FinishReason::kCancelled:
      return v1::CANCELLED;
    case door::FinishReason::kFailed:
      break;
  }
  return v1::FAILED;
}

static door::FinishReason read_reason(RangeCheck& check, v1::FinishReason reason) {
  switch (reason) {
    case v1::STOP:
      return door::FinishReason::kStop;
    case v1::LENGTH:
      return door::FinishReason::kLength;
    case v1::CANCELLED:
      return door::FinishReason::kCancelled;
    case v1::FAILED:
      return door::FinishReason::kFailed;
    case v1::FINISH_REASON_NONE:
      check.fail("reason", "is missing");
      break;
    default:
      check.unknown(reason, v1::FinishReason_MAX, "reason", 1);
  }
  return door::FinishReason::kFailed;
}

void write(const door::Finished& from, v1::Finished& to) {
  to.set_tag(from.tag);
  to.set_choice(static_cast<uint32_t>(from.choice));
  to.set_reason(to_wire(from.reason));
  to.set_stop_string(from.stop_string);
  if (from.stop_token_id) to.set_stop_token_id(static_cast<uint32_t>(*from.stop_token_id));
  to.set_text(from.text);
  to.set_error_id(from.error_id);
  to.set_error_message(from.error_message);
  to.set_prompt_tokens(static_cast<uint32_t>(from.prompt_tokens));
  to.set_output_tokens(static_cast<uint32_t>(from.output_tokens));
  to.set_cached_tokens(static_cast<uint32_t>(from.cached_tokens));
  to.set_queued_us(static_cast<uint64_t>(from.queued_us));
  to.set_first_token_us(static_cast<uint64_t>(from.first_token_us));
  to.set_total_us(static_cast<uint64_t>(from.total_us));
  to.set_last_choice(from.last_choice);
  to.set_invariant(from.invariant);
}

void read(RangeCheck& check, const v1::Finished& from, door::Finished& to) {
  to.tag = from.tag();
  to.choice = to_int32(check, from.choice(), "choice");
  to.reason = read_reason(check, from.reason());
  to.stop_string = from.stop_string();
  if (from.has_stop_token_id()) {
    to.stop_token_id = to_int32(check, from.stop_token_id(), "stop_token_id");
  }
  to.text = from.text();
  to.error_id = from.error_id();
  to.error_message = from.error_message();
  to.prompt_tokens = to_int32(check, from.prompt_tokens(), "prompt_tokens");
  to.output_tokens = to_int32(check, from.output_tokens(), "output_tokens");
  to.cached_tokens = to_int32(check, from.cached_tokens(), "cached_tokens");
  to.queued_us = to_int64(check, from.queued_us(), "queued_us");
  to.first_token_us = to_int64(check, from.first_token_us(), "first_token_us");
  to.total_us = to_int64(check, from.total_us(), "total_us");
  to.last_choice = from.last_choice();
  to.invariant = from.invariant();
}

void write(const door::Error& from, v1::Error& to) {
  to.set_tag(from.tag);
  to.set_error_id(from.error_id);
  to.set_message(from.message);
  to.set_retry_after_ms(static_cast<uint64_t>(from.retry_after_ms));
  to.set_closes(from.closes);
  to.set_protocol_major_min(from.protocol_major_min);
  to.set_protocol_major_max(from.protocol_major_max);
}

void read(RangeCheck& check, const v1::Error& from, door::Error& to) {
  to.tag = from.tag();
  to.error_id = from.error_id();
  to.message = from.message();
  to.retry_after_ms = to_int64(check, from.retry_after_ms(), "retry_after_ms");
  to.closes = from.closes();
  to.protocol_major_min = from.protocol_major_min();
  to.protocol_major_max = from.protocol_major_max();
}

void write(const door::Pong& from, v1::Pong& to) { to.set_nonce(from.nonce); }
void read(RangeCheck&, const v1::Pong& from, door::Pong& to) { to.nonce = from.nonce(); }

void write(const door::Models& from, v1::Models& to) {
  for (const door::ModelInfo& model : from.models) write(model, *to.add_models());
}

void read(RangeCheck& check, const v1::Models& from, door::Models& to) {
  read_models(check, from.models(), to.models);
}

void write(const door::StatusReply& from, v1::StatusReply& to) {
  to.set_server(from.server);
  to.set_uptime_ms(static_cast<uint64_t>(from.uptime_ms));
  to.set_connections(static_cast<uint32_t>(from.connections));
  to.set_waiting(static_cast<uint64_t>(from.waiting));
  to.set_running(static_cast<uint64_t>(from.running));
  to.set_finished(static_cast<uint64_t>(from.finished));
  to.set_preemptions(static_cast<uint64_t>(from.preemptions));
  to.set_prompt_tokens(static_cast<uint64_t>(from.prompt_tokens));
  to.set_cached_tokens(static_cast<uint64_t>(from.cached_tokens));
  to.set_output_tokens(static_cast<uint64_t>(from.output_tokens));
  to.set_draining(from.draining);
  for (const door::GroupStatus& group : from.groups) write(group, *to.add_groups());
  for (const door::ModelInfo& model : from.models) write(model, *to.add_models());
}

void read(RangeCheck& check, const v1::StatusReply& from, door::StatusReply& to) {
  to.server = from.server();
  to.uptime_ms = to_int64(check, from.uptime_ms(), "uptime_ms");
  to.connections = to_int32(check, from.connections(), "connections");
  to.waiting = to_int64(check, from.waiting(), "waiting");
  to.running = to_int64(check, from.running(), "running");
  to.finished = to_int64(check, from.finished(), "finished");
  to.preemptions = to_int64(check, from.preemptions(), "preemptions");
  to.prompt_tokens = to_int64(check, from.prompt_tokens(), "prompt_tokens");
  to.cached_tokens = to_int64(check, from.cached_tokens(), "cached_tokens");
  to.output_tokens = to_int64(check, from.output_tokens(), "output_tokens");
  to.draining = from.draining();
  to.groups.resize(static_cast<size_t>(from.groups_size()));
  for (int i = 0; i < from.groups_size(); ++i) {
    read(check, from.groups(i), to.groups[static_cast<size_t>(i)]);
  }
  read_models(check, from.models(), to.models);
}

}  // namespace trireme
