#include "proto/client_convert.h"

namespace trireme {
namespace {

using wire::RangeCheck;
using wire::take;
using wire::to_int32;
using wire::to_int64;

void write(const door::TokenLogprob& from, v1::TokenLogprob& to) {
  to.set_token_id(static_cast<uint32_t>(from.token.id));
  to.set_logprob(from.token.logprob);
  for (const TokenAndLogprob& top : from.top) {
    to.add_top_ids(static_cast<uint32_t>(top.id));
    to.add_top_logprobs(top.logprob);
  }
  to.set_token_bytes(from.token_bytes);
  for (const std::string& bytes : from.top_bytes) to.add_top_bytes(bytes);
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
    value.token_bytes = entry.token_bytes();
    if (entry.top_bytes_size() > 0) {
      check.same_length(entry.top_ids_size(), entry.top_bytes_size(), "top_bytes");
    }
    value.top_bytes.assign(entry.top_bytes().begin(), entry.top_bytes().end());
  }
}

template <class Field>
void read_parts(RangeCheck& check, const Field& from, std::vector<AnswerPart>& to) {
  to.resize(static_cast<size_t>(from.size()));
  for (int i = 0; i < from.size(); ++i) read(check, from[i], to[static_cast<size_t>(i)]);
}

void write(const door::Piece& from, v1::Piece& to) {
  to.set_tag(from.tag);
  to.set_choice(static_cast<uint32_t>(from.choice));
  to.set_first_index(static_cast<uint32_t>(from.first_index));
  wire::put(from.token_ids, to.mutable_token_ids());
  to.set_text(from.text);
  for (const door::TokenLogprob& entry : from.logprobs) write(entry, *to.add_logprobs());
  for (const AnswerPart& part : from.parts) write(part, *to.add_parts());
  to.set_echo_bytes(static_cast<uint32_t>(from.echo_bytes));
}

void read(RangeCheck& check, const v1::Piece& from, door::Piece& to) {
  to.tag = from.tag();
  to.choice = to_int32(check, from.choice(), "choice");
  to.first_index = to_int32(check, from.first_index(), "first_index");
  take(check, from.token_ids(), to.token_ids, "token_ids");
  to.text = from.text();
  read_logprobs(check, from.logprobs(), to.logprobs);
  read_parts(check, from.parts(), to.parts);
  check.number(from.echo_bytes(), static_cast<int64_t>(from.text().size()), "echo_bytes");
  to.echo_bytes = static_cast<int32_t>(from.echo_bytes());
}

}  // namespace

void write(const door::Accepted& from, v1::Accepted& to) {
  to.set_tag(from.tag);
  to.set_request_id(from.request_id);
  to.set_seed(from.seed);
  to.set_prompt_tokens(static_cast<uint32_t>(from.prompt_tokens));
  to.set_repeated_key(from.repeated_key);
  to.set_public_id(from.public_id);
  to.set_model(from.model);
  to.set_version(from.version);
  to.set_fingerprint(from.fingerprint);
  wire::put(from.prompt_ids, to.mutable_prompt_ids());
  to.set_client_state(from.client_state);
}

void read(RangeCheck& check, const v1::Accepted& from, door::Accepted& to) {
  to.tag = from.tag();
  to.request_id = from.request_id();
  to.seed = from.seed();
  to.prompt_tokens = to_int32(check, from.prompt_tokens(), "prompt_tokens");
  to.repeated_key = from.repeated_key();
  to.public_id = from.public_id();
  to.model = from.model();
  to.version = from.version();
  to.fingerprint = from.fingerprint();
  take(check, from.prompt_ids(), to.prompt_ids, "prompt_ids");
  to.client_state = from.client_state();
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
    case door::FinishReason::kToolCalls:
      return v1::TOOL_CALLS;
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
    case v1::TOOL_CALLS:
      return door::FinishReason::kToolCalls;
    case v1::FINISH_REASON_NONE:
      check.fail("reason", "is missing");
      break;
    default:
      check.unknown(reason, v1::FinishReason_MAX, "reason", 1);
  }
  return door::FinishReason::kFailed;
}

static v1::ErrorKind to_wire(door::ErrorKind kind) {
  switch (kind) {
    case door::ErrorKind::kNone:
      return v1::ERROR_KIND_NONE;
    case door::ErrorKind::kInvalid:
      return v1::ERROR_INVALID;
    case door::ErrorKind::kNotFound:
      return v1::ERROR_NOT_FOUND;
    case door::ErrorKind::kTooLarge:
      return v1::ERROR_TOO_LARGE;
    case door::ErrorKind::kOverloaded:
      return v1::ERROR_OVERLOADED;
    case door::ErrorKind::kUnavailable:
      return v1::ERROR_UNAVAILABLE;
    case door::ErrorKind::kDeadline:
      return v1::ERROR_DEADLINE;
    case door::ErrorKind::kConflict:
      return v1::ERROR_CONFLICT;
    case door::ErrorKind::kDenied:
      return v1::ERROR_DENIED;
    case door::ErrorKind::kInternal:
      break;
  }
  return v1::ERROR_INTERNAL;
}

// A kind of a later minor version is an error all the same.
static door::ErrorKind read_error_kind(v1::ErrorKind kind) {
  switch (kind) {
    case v1::ERROR_KIND_NONE:
      return door::ErrorKind::kNone;
    case v1::ERROR_INVALID:
      return door::ErrorKind::kInvalid;
    case v1::ERROR_NOT_FOUND:
      return door::ErrorKind::kNotFound;
    case v1::ERROR_TOO_LARGE:
      return door::ErrorKind::kTooLarge;
    case v1::ERROR_OVERLOADED:
      return door::ErrorKind::kOverloaded;
    case v1::ERROR_UNAVAILABLE:
      return door::ErrorKind::kUnavailable;
    case v1::ERROR_DEADLINE:
      return door::ErrorKind::kDeadline;
    case v1::ERROR_CONFLICT:
      return door::ErrorKind::kConflict;
    case v1::ERROR_DENIED:
      return door::ErrorKind::kDenied;
    default:
      return door::ErrorKind::kInternal;
  }
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
  for (const AnswerPart& part : from.parts) write(part, *to.add_parts());
  to.set_reasoning_tokens(static_cast<uint32_t>(from.reasoning_tokens));
  to.set_tokenize_us(static_cast<uint64_t>(from.tokenize_us));
  to.set_prefill_us(static_cast<uint64_t>(from.prefill_us));
  to.set_error_kind(to_wire(from.error_kind));
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
  read_parts(check, from.parts(), to.parts);
  to.reasoning_tokens = to_int32(check, from.reasoning_tokens(), "reasoning_tokens");
  to.tokenize_us = to_int64(check, from.tokenize_us(), "tokenize_us");
  to.prefill_us = to_int64(check, from.prefill_us(), "prefill_us");
  to.error_kind = read_error_kind(from.error_kind());
}

void write(const door::Error& from, v1::Error& to) {
  to.set_tag(from.tag);
  to.set_error_id(from.error_id);
  to.set_message(from.message);
  to.set_retry_after_ms(static_cast<uint64_t>(from.retry_after_ms));
  to.set_closes(from.closes);
  to.set_protocol_major_min(from.protocol_major_min);
  to.set_protocol_major_max(from.protocol_major_max);
  to.set_kind(to_wire(from.kind));
  to.set_field(from.field);
  to.set_nonce(from.nonce);
}

void read(RangeCheck& check, const v1::Error& from, door::Error& to) {
  to.tag = from.tag();
  to.error_id = from.error_id();
  to.message = from.message();
  to.retry_after_ms = to_int64(check, from.retry_after_ms(), "retry_after_ms");
  to.closes = from.closes();
  to.protocol_major_min = from.protocol_major_min();
  to.protocol_major_max = from.protocol_major_max();
  to.kind = read_error_kind(from.kind());
  to.field = from.field();
  to.nonce = from.nonce();
}

void write(const door::Progress& from, v1::Progress& to) {
  to.set_tag(from.tag);
  to.set_queue_position(static_cast<uint32_t>(from.queue_position));
  to.set_prompt_done(static_cast<uint32_t>(from.prompt_done));
  to.set_prompt_tokens(static_cast<uint32_t>(from.prompt_tokens));
}

void read(RangeCheck& check, const v1::Progress& from, door::Progress& to) {
  to.tag = from.tag();
  to.queue_position = to_int32(check, from.queue_position(), "queue_position");
  to.prompt_done = to_int32(check, from.prompt_done(), "prompt_done");
  to.prompt_tokens = to_int32(check, from.prompt_tokens(), "prompt_tokens");
}

}  // namespace trireme
