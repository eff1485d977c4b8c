#include "proto/client_convert.h"
#include "proto/credit.h"

namespace trireme {
namespace {

constexpr uint32_t kEndedOnWire = ~uint32_t{0};  // an index of Resume

using wire::RangeCheck;
using wire::take;
using wire::to_int32;

constexpr int64_t kMaxRequestIdBytes = 16;

template <class T>
std::optional<T> optional_if(bool present, T value) {
  return present ? std::optional<T>(value) : std::nullopt;
}

std::optional<int32_t> optional_int32(RangeCheck& check,
                                      bool present,
                                      uint32_t value,
                                      const char* field) {
  if (!present) return std::nullopt;
  return to_int32(check, value, field);
}

// Names and keys: at most 256 bytes.
std::string short_text(RangeCheck& check, const std::string& text, const char* field) {
  constexpr int64_t kMaxBytes = 256;
  check.number(text.size(), kMaxBytes, field);
  return check.ok() ? text : std::string();
}

uint32_t index_to_wire(int32_t index) {
  return index == door::kEndedIndex ? kEndedOnWire : static_cast<uint32_t>(index);
}

int32_t read_index(RangeCheck& check, uint32_t index, const char* field) {
  if (index == kEndedOnWire) return door::kEndedIndex;
  return to_int32(check, index, field);
}

v1::RequestKind to_wire(door::Kind kind) {
  switch (kind) {
    case door::Kind::kGenerate:
      return v1::GENERATE;
    case door::Kind::kScore:
      return v1::SCORE;
    case door::Kind::kProbe:
      break;
  }
  return v1::PROBE;
}

door::Kind read_kind(RangeCheck& check, v1::RequestKind kind) {
  switch (kind) {
    case v1::GENERATE:
      return door::Kind::kGenerate;
    case v1::SCORE:
      return door::Kind::kScore;
    case v1::PROBE:
      return door::Kind::kProbe;
    default:
      check.unknown(kind, v1::RequestKind_MAX, "kind");
      return door::Kind::kGenerate;
  }
}

v1::OnDisconnect to_wire(door::OnDisconnect choice) {
  switch (choice) {
    case door::OnDisconnect::kDefault:
      return v1::ON_DISCONNECT_DEFAULT;
    case door::OnDisconnect::kCancel:
      return v1::ON_DISCONNECT_CANCEL;
    case door::OnDisconnect::kContinue:
      break;
  }
  return v1::ON_DISCONNECT_CONTINUE;
}

door::OnDisconnect read_on_disconnect(RangeCheck& check, v1::OnDisconnect choice) {
  switch (choice) {
    case v1::ON_DISCONNECT_DEFAULT:
      return door::OnDisconnect::kDefault;
    case v1::ON_DISCONNECT_CANCEL:
      return door::OnDisconnect::kCancel;
    case v1::ON_DISCONNECT_CONTINUE:
      return door::OnDisconnect::kContinue;
    default:
      check.unknown(choice, v1::OnDisconnect_MAX, "on_disconnect");
      return door::OnDisconnect::kDefault;
  }
}

void write(const door::Sampling& from, v1::Sampling& to) {
  if (from.temperature) to.set_temperature(*from.temperature);
  if (from.top_k) to.set_top_k(static_cast<uint32_t>(*from.top_k));
  if (from.top_p) to.set_top_p(*from.top_p);
  if (from.min_p) to.set_min_p(*from.min_p);
  if (from.repetition_penalty) to.set_repetition_penalty(*from.repetition_penalty);
  if (from.presence_penalty) to.set_presence_penalty(*from.presence_penalty);
  if (from.frequency_penalty) to.set_frequency_penalty(*from.frequency_penalty);
  for (const auto& [id, bias] : from.logit_bias) {
    to.add_logit_bias_ids(static_cast<uint32_t>(id));
    to.add_logit_bias_values(bias);
  }
  if (from.min_tokens) to.set_min_tokens(static_cast<uint32_t>(*from.min_tokens));
  if (from.max_tokens) to.set_max_tokens(static_cast<uint32_t>(*from.max_tokens));
  for (const std::string& stop : from.stop) to.add_stop(stop);
  wire::put(from.stop_token_ids, to.mutable_stop_token_ids());
  to.set_ignore_eos(from.ignore_eos);
  if (from.seed) to.set_seed(*from.seed);
  if (from.n) to.set_n(static_cast<uint32_t>(*from.n));
  if (from.logprobs) to.set_logprobs(static_cast<uint32_t>(*from.logprobs));
  if (from.prompt_logprobs) to.set_prompt_logprobs(static_cast<uint32_t>(*from.prompt_logprobs));
  if (from.skip_special_tokens) to.set_skip_special_tokens(*from.skip_special_tokens);
  to.set_include_stop_str_in_output(from.include_stop_str_in_output);
  to.set_echo(from.echo);
}

void read(RangeCheck& check, const v1::Sampling& from, door::Sampling& to) {
  to.temperature = optional_if(from.has_temperature(), from.temperature());
  to.top_k = optional_int32(check, from.has_top_k(), from.top_k(), "top_k");
  to.top_p = optional_if(from.has_top_p(), from.top_p());
  to.min_p = optional_if(from.has_min_p(), from.min_p());
  to.repetition_penalty = optional_if(from.has_repetition_penalty(), from.repetition_penalty());
  to.presence_penalty = optional_if(from.has_presence_penalty(), from.presence_penalty());
  to.frequency_penalty = optional_if(from.has_frequency_penalty(), from.frequency_penalty());
  check.same_length(from.logit_bias_ids_size(), from.logit_bias_values_size(), "logit_bias_values");
  for (int i = 0; check.ok() && i < from.logit_bias_ids_size(); ++i) {
    to.logit_bias.emplace_back(to_int32(check, from.logit_bias_ids(i), "logit_bias_ids"),
                               from.logit_bias_values(i));
  }
  to.min_tokens = optional_int32(check, from.has_min_tokens(), from.min_tokens(), "min_tokens");
  to.max_tokens = optional_int32(check, from.has_max_tokens(), from.max_tokens(), "max_tokens");
  to.stop.assign(from.stop().begin(), from.stop().end());
  take(check, from.stop_token_ids(), to.stop_token_ids, "stop_token_ids");
  to.ignore_eos = from.ignore_eos();
  to.seed = optional_if(from.has_seed(), static_cast<uint64_t>(from.seed()));
  to.n = optional_int32(check, from.has_n(), from.n(), "n");
  to.logprobs = optional_int32(check, from.has_logprobs(), from.logprobs(), "logprobs");
  to.prompt_logprobs =
      optional_int32(check, from.has_prompt_logprobs(), from.prompt_logprobs(), "prompt_logprobs");
  to.skip_special_tokens = optional_if(from.has_skip_special_tokens(), from.skip_special_tokens());
  to.include_stop_str_in_output = from.include_stop_str_in_output();
  to.echo = from.echo();
}

void write(const door::Structure& from, v1::Structure& to) {
  switch (from.kind) {
    case door::Structure::Kind::kNone:
      return;
    case door::Structure::Kind::kJsonObject:
      to.set_json_object(true);
      return;
    case door::Structure::Kind::kJsonSchema:
      to.set_json_schema(from.text);
      return;
    case door::Structure::Kind::kRegex:
      to.set_regex(from.text);
      return;
    case door::Structure::Kind::kGrammar:
      to.set_grammar(from.text);
      return;
  }
}

void read(const v1::Structure& from, door::Structure& to) {
  using Kind = door::Structure::Kind;
  switch (from.kind_case()) {
    case v1::Structure::kJsonObject:
      to.kind = from.json_object() ? Kind::kJsonObject : Kind::kNone;
      return;
    case v1::Structure::kJsonSchema:
      to = {Kind::kJsonSchema, from.json_schema()};
      return;
    case v1::Structure::kRegex:
      to = {Kind::kRegex, from.regex()};
      return;
    case v1::Structure::kGrammar:
      to = {Kind::kGrammar, from.grammar()};
      return;
    case v1::Structure::KIND_NOT_SET:
      return;
  }
}

void write_prompt(const door::Submit& from, v1::Submit& to) {
  if (const auto* text = std::get_if<std::string>(&from.prompt)) {
    to.set_text(*text);
  } else if (const auto* ids = std::get_if<std::vector<TokenId>>(&from.prompt)) {
    wire::put(*ids, to.mutable_token_ids()->mutable_ids());
  } else if (const auto* messages = std::get_if<door::Messages>(&from.prompt)) {
    to.mutable_messages();
    for (const door::ChatMessage& message : *messages) {
      v1::ChatMessage& entry = *to.mutable_messages()->add_messages();
      entry.set_role(message.role);
      entry.set_content(message.content);
    }
  } else if (const auto* chat = std::get_if<ChatRequest>(&from.prompt)) {
    write(*chat, *to.mutable_chat());
  }
}

void read_prompt(RangeCheck& check, const v1::Submit& from, door::Submit& to) {
  switch (from.prompt_case()) {
    case v1::Submit::kText:
      to.prompt = from.text();
      return;
    case v1::Submit::kTokenIds:
      take(check, from.token_ids().ids(), to.prompt.emplace<std::vector<TokenId>>(), "token_ids");
      return;
    case v1::Submit::kMessages:
      for (const v1::ChatMessage& message : from.messages().messages()) {
        auto* messages = std::get_if<door::Messages>(&to.prompt);
        if (messages == nullptr) messages = &to.prompt.emplace<door::Messages>();
        messages->push_back({message.role(), message.content()});
      }
      if (from.messages().messages_size() == 0) to.prompt.emplace<door::Messages>();
      return;
    case v1::Submit::kChat:
      read(check, from.chat(), to.prompt.emplace<ChatRequest>());
      return;
    case v1::Submit::PROMPT_NOT_SET:
      to.prompt = std::monostate();
      return;
  }
}

}  // namespace

void write(const door::Hello& from, v1::Hello& to) {
  to.set_protocol_minor(from.protocol_minor);
  to.set_client(from.client);
}

void read(RangeCheck& check, const v1::Hello& from, door::Hello& to) {
  constexpr int64_t kMaxClientNameBytes = 256;
  to.protocol_minor = from.protocol_minor();
  check.number(from.client().size(), kMaxClientNameBytes, "client (its bytes)");
  if (check.ok()) to.client = from.client();
}

void write(const door::Submit& from, v1::Submit& to) {
  to.set_tag(from.tag);
  to.set_model(from.model);
  write_prompt(from, to);
  if (!from.add_special_tokens) to.set_add_special_tokens(false);
  write(from.sampling, *to.mutable_sampling());
  to.set_kind(to_wire(from.kind));
  to.set_idempotency_key(from.idempotency_key);
  to.set_traceparent(from.traceparent);
  to.set_on_disconnect(to_wire(from.on_disconnect));
  to.set_deadline_ms(static_cast<uint64_t>(from.deadline_ms));
  to.set_credit_bytes(static_cast<uint64_t>(from.credit_bytes));
  wire::put_member(from.probes, &door::ProbePoint::position, to.mutable_probe_positions());
  wire::put_member(from.probes, &door::ProbePoint::layer, to.mutable_probe_layers());
  to.set_principal(from.principal);
  to.set_client_request_id(from.client_request_id);
  to.set_progress_interval_ms(static_cast<uint32_t>(from.progress_interval_ms));
  to.set_token_bytes(from.token_bytes);
  if (from.structure.kind != door::Structure::Kind::kNone) {
    write(from.structure, *to.mutable_structure());
  }
  to.set_cache_salt(from.cache_salt);
  to.set_want_prompt_ids(from.want_prompt_ids);
  to.set_nonce(from.nonce);
  to.set_priority(from.priority);
  to.set_disconnect_grace_ms(static_cast<uint32_t>(from.disconnect_grace_ms));
  to.set_share(from.share);
  to.set_client_state(from.client_state);
}

void read(RangeCheck& check, const v1::Submit& from, door::Submit& to) {
  to.tag = from.tag();
  if (from.tag() == 0) check.fail("tag", "is 0, allowed is 1 and above");
  to.model = from.model();
  read_prompt(check, from, to);
  to.add_special_tokens = !from.has_add_special_tokens() || from.add_special_tokens();
  read(check, from.sampling(), to.sampling);
  to.kind = read_kind(check, from.kind());
  to.idempotency_key = short_text(check, from.idempotency_key(), "idempotency_key (its bytes)");
  to.traceparent = short_text(check, from.traceparent(), "traceparent (its bytes)");
  to.on_disconnect = read_on_disconnect(check, from.on_disconnect());
  constexpr int64_t kMaxDeadlineMs = int64_t{1000} * 3600 * 24 * 365;
  check.number(from.deadline_ms(), kMaxDeadlineMs, "deadline_ms");
  to.deadline_ms = static_cast<int64_t>(from.deadline_ms());
  check.number(from.credit_bytes(), kMaxCreditBytes, "credit_bytes");
  to.credit_bytes = static_cast<int64_t>(from.credit_bytes());
  to.probes.resize(static_cast<size_t>(from.probe_positions_size()));
  wire::take_member(
      check, from.probe_positions(), to.probes, &door::ProbePoint::position, "probe_positions");
  check.same_length(from.probe_positions_size(), from.probe_layers_size(), "probe_layers");
  for (int i = 0; check.ok() && i < from.probe_layers_size(); ++i) {
    check.number(from.probe_layers(i), wire::kInt32Max, "probe_layers", -1);
    to.probes[static_cast<size_t>(i)].layer = from.probe_layers(i);
  }
  to.principal = short_text(check, from.principal(), "principal (its bytes)");
  to.client_request_id =
      short_text(check, from.client_request_id(), "client_request_id (its bytes)");
  to.progress_interval_ms = to_int32(check, from.progress_interval_ms(), "progress_interval_ms");
  to.token_bytes = from.token_bytes();
  read(from.structure(), to.structure);
  to.cache_salt = short_text(check, from.cache_salt(), "cache_salt (its bytes)");
  to.want_prompt_ids = from.want_prompt_ids();
  to.nonce = from.nonce();
  to.priority = from.priority();
  to.disconnect_grace_ms = from.disconnect_grace_ms();
  to.share = short_text(check, from.share(), "share (its bytes)");
  check.number(from.client_state().size(), kMaxClientStateBytes, "client_state (its bytes)");
  if (check.ok()) to.client_state = from.client_state();
}

void write(const door::Cancel& from, v1::Cancel& to) {
  to.set_tag(from.tag);
  to.set_request_id(from.request_id);
}

void read(RangeCheck& check, const v1::Cancel& from, door::Cancel& to) {
  to.tag = from.tag();
  to.request_id = from.request_id();
  if (!to.request_id.empty() && to.request_id.size() != kMaxRequestIdBytes) {
    check.fail("request_id",
               format_text("has {} bytes, allowed is 16 or none", to.request_id.size()));
  }
}

void write(const door::Resume& from, v1::Resume& to) {
  to.set_tag(from.tag);
  to.set_request_id(from.request_id);
  to.set_nonce(from.nonce);
  for (const int32_t index : from.next_index) to.add_next_index(index_to_wire(index));
  to.set_credit_bytes(static_cast<uint64_t>(from.credit_bytes));
  for (const door::AnswerPoint& point : from.points) {
    v1::AnswerPoint& entry = *to.add_points();
    entry.set_choice(static_cast<uint32_t>(point.choice));
    entry.set_index(index_to_wire(point.index));
  }
}

void read(RangeCheck& check, const v1::Resume& from, door::Resume& to) {
  to.tag = from.tag();
  if (from.tag() == 0) check.fail("tag", "is 0, allowed is 1 and above");
  to.request_id = from.request_id();
  if (to.request_id.size() != kMaxRequestIdBytes) {
    check.fail("request_id", format_text("has {} bytes, allowed is 16", to.request_id.size()));
  }
  to.nonce = from.nonce();
  constexpr int64_t kMaxChoices = 1024;
  check.number(from.next_index_size(), kMaxChoices, "next_index (their number)");
  for (const uint32_t index : from.next_index()) {
    to.next_index.push_back(read_index(check, index, "next_index"));
    if (!check.ok()) break;
  }
  check.number(from.points_size(), kMaxChoices, "points (their number)");
  for (const v1::AnswerPoint& point : from.points()) {
    to.points.push_back(
        {to_int32(check, point.choice(), "points"), read_index(check, point.index(), "points")});
    if (!check.ok()) break;
  }
  check.number(from.credit_bytes(), kMaxCreditBytes, "credit_bytes");
  to.credit_bytes = static_cast<int64_t>(from.credit_bytes());
}

void write(const door::Credit& from, v1::Credit& to) {
  to.set_tag(from.tag);
  to.set_bytes(static_cast<uint64_t>(from.bytes));
}

void read(RangeCheck& check, const v1::Credit& from, door::Credit& to) {
  to.tag = from.tag();
  check.number(from.bytes(), kMaxCreditBytes, "bytes");
  to.bytes = static_cast<int64_t>(from.bytes());
}

void write(const door::Ping& from, v1::Ping& to) { to.set_nonce(from.nonce); }
void read(RangeCheck&, const v1::Ping& from, door::Ping& to) { to.nonce = from.nonce(); }
void write(const door::ListModels&, v1::ListModels&) {}
void read(RangeCheck&, const v1::ListModels&, door::ListModels&) {}
void write(const door::StatusRequest&, v1::StatusRequest&) {}
void read(RangeCheck&, const v1::StatusRequest&, door::StatusRequest&) {}

}  // namespace trireme
