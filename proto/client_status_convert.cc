// Conversion of models, groups and the state of the cluster.
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
  to.set_version(from.version);
  for (const std::string& label : from.labels) to.add_labels(label);
  to.set_fingerprint(from.fingerprint);
  to.set_created_s(static_cast<uint64_t>(from.created_s));
  to.set_state(from.state);
  v1::ChatInfo& chat = *to.mutable_chat();
  chat.set_available(from.chat.available);
  chat.set_reason(from.chat.reason);
  chat.set_tools(from.chat.tools);
  chat.set_reasoning(from.chat.reasoning);
  chat.set_parts(from.chat.parts);
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
  to.version = from.version();
  to.labels.assign(from.labels().begin(), from.labels().end());
  to.fingerprint = from.fingerprint();
  to.created_s = to_int64(check, from.created_s(), "created_s");
  to.state = from.state();
  to.chat.available = from.chat().available();
  to.chat.reason = from.chat().reason();
  to.chat.tools = from.chat().tools();
  to.chat.reasoning = from.chat().reasoning();
  to.chat.parts = from.chat().parts();
}

template <class Field>
void read_models(RangeCheck& check, const Field& from, std::vector<door::ModelInfo>& to) {
  to.resize(static_cast<size_t>(from.size()));
  for (int i = 0; i < from.size(); ++i) read(check, from[i], to[static_cast<size_t>(i)]);
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

void write(const door::Models& from, v1::Models& to) {
  for (const door::ModelInfo& model : from.models) write(model, *to.add_models());
}

void read(RangeCheck& check, const v1::Models& from, door::Models& to) {
  read_models(check, from.models(), to.models);
}

void write(const door::Pong& from, v1::Pong& to) {
  to.set_nonce(from.nonce);
  to.set_healthy(from.healthy);
  to.set_reason(from.reason);
  to.set_draining(from.draining);
  to.set_waiting(static_cast<uint64_t>(from.waiting));
  to.set_token_age_ms(static_cast<uint64_t>(from.token_age_ms));
}

void read(RangeCheck& check, const v1::Pong& from, door::Pong& to) {
  to.nonce = from.nonce();
  to.healthy = from.healthy();
  to.reason = from.reason();
  to.draining = from.draining();
  to.waiting = to_int64(check, from.waiting(), "waiting");
  to.token_age_ms = to_int64(check, from.token_age_ms(), "token_age_ms");
}

static void write(const door::JournalStatus& from, v1::JournalStatus& to) {
  to.set_state(from.state);
  to.set_bytes(static_cast<uint64_t>(from.bytes));
  to.set_max_bytes(static_cast<uint64_t>(from.max_bytes));
  to.set_reserved_bytes(static_cast<uint64_t>(from.reserved_bytes));
  to.set_undurable_bytes(static_cast<uint64_t>(from.undurable_bytes));
  to.set_unfinished(static_cast<uint64_t>(from.unfinished));
  to.set_kept(static_cast<uint64_t>(from.kept));
  to.set_foreign(static_cast<uint64_t>(from.foreign));
}

static void read(RangeCheck& check, const v1::JournalStatus& from, door::JournalStatus& to) {
  to.state = from.state();
  to.bytes = to_int64(check, from.bytes(), "bytes");
  to.max_bytes = to_int64(check, from.max_bytes(), "max_bytes");
  to.reserved_bytes = to_int64(check, from.reserved_bytes(), "reserved_bytes");
  to.undurable_bytes = to_int64(check, from.undurable_bytes(), "undurable_bytes");
  to.unfinished = to_int64(check, from.unfinished(), "unfinished");
  to.kept = to_int64(check, from.kept(), "kept");
  to.foreign = to_int64(check, from.foreign(), "foreign");
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
  to.set_healthy(from.healthy);
  to.set_reason(from.reason);
  to.set_token_age_ms(static_cast<uint64_t>(from.token_age_ms));
  write(from.journal, *to.mutable_journal());
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
  to.healthy = from.healthy();
  to.reason = from.reason();
  to.token_age_ms = to_int64(check, from.token_age_ms(), "token_age_ms");
  read(check, from.journal(), to.journal);
}

}  // namespace trireme
