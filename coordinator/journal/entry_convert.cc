#include "coordinator/journal/entry_convert.h"

namespace trireme::journal {

using wire::RangeCheck;
using wire::to_int32;

namespace {

v1::JournalReason to_wire(FinishReason reason) {
  switch (reason) {
    case FinishReason::kStop:
      return v1::JOURNAL_STOP;
    case FinishReason::kLength:
      return v1::JOURNAL_LENGTH;
    case FinishReason::kCancelled:
      return v1::JOURNAL_CANCELLED;
    case FinishReason::kError:
      return v1::JOURNAL_ERROR;
    case FinishReason::kToolCalls:
      break;
  }
  return v1::JOURNAL_TOOL_CALLS;
}

FinishReason read_reason(RangeCheck& check, v1::JournalReason reason) {
  switch (reason) {
    case v1::JOURNAL_STOP:
      return FinishReason::kStop;
    case v1::JOURNAL_LENGTH:
      return FinishReason::kLength;
    case v1::JOURNAL_CANCELLED:
      return FinishReason::kCancelled;
    case v1::JOURNAL_ERROR:
      return FinishReason::kError;
    case v1::JOURNAL_TOOL_CALLS:
      return FinishReason::kToolCalls;
    default:
      check.unknown(reason, v1::JournalReason_MAX, "reason");
      return FinishReason::kStop;
  }
}

int32_t read_choice(RangeCheck& check, uint32_t choice) {
  check.number(choice, kMaxChoices - 1, "choice");
  return check.ok() ? static_cast<int32_t>(choice) : 0;
}

Status read_error(RangeCheck& check, const v1::JournalEnded& from) {
  if (from.error_code() == 0) return ok_status();
  constexpr auto kLast = static_cast<int64_t>(absl::StatusCode::kUnauthenticated);
  check.number(from.error_code(), kLast, "error_code");
  if (!check.ok()) return ok_status();
  return {static_cast<absl::StatusCode>(from.error_code()), from.error()};
}

void write(const Place& from, v1::JournalPlace& to) {
  to.set_segment(from.segment);
  to.set_offset(from.offset);
  to.set_bytes(from.bytes);
}

Place read(RangeCheck& check, const v1::JournalPlace& from) {
  check.number(from.segment(), wire::kInt64Max, "segment");
  check.number(from.offset(), wire::kInt64Max, "offset");
  check.number(from.bytes(), kMaxPlaceBytes, "bytes");
  return {from.segment(), from.offset(), from.bytes()};
}

void write(const ConvertContext& context, const RestoredChoice& from, v1::JournalChoice& to) {
  wire::put(from.ids, to.mutable_ids());
  if (!from.logprobs.empty()) journal::write(from.logprobs, *to.mutable_logprobs());
  if (from.ended) write(context, Ended{0, *from.ended}, *to.mutable_ended());
}

void read(const ConvertContext& context,
          RangeCheck& check,
          const v1::JournalChoice& from,
          RestoredChoice& to) {
  wire::take(check, from.ids(), to.ids, "ids");
  if (from.has_logprobs()) {
    journal::read(check, from.logprobs(), from.ids_size(), to.logprobs);
  }
  if (from.has_ended()) {
    Ended ended;
    read(context, check, from.ended(), ended);
    to.ended = std::move(ended.end);
  }
}

template <class Choices>
void read_choices(const ConvertContext& context,
                  RangeCheck& check,
                  const Choices& from,
                  std::vector<RestoredChoice>& to) {
  check.number(from.size(), kMaxChoices, "choices (their number)");
  for (const v1::JournalChoice& choice : from) {
    if (check.ok()) read(context, check, choice, to.emplace_back());
  }
}

// Every run has a request, every id a run.
void check_runs(RangeCheck& check, const Tokens& tokens) {
  const auto num_runs = static_cast<int64_t>(tokens.numbers.size());
  if (!tokens.choices.empty()) check.same_length(num_runs, std::ssize(tokens.choices), "choices");
  if (!tokens.counts.empty()) check.same_length(num_runs, std::ssize(tokens.counts), "counts");
  int64_t num_ids = tokens.counts.empty() ? num_runs : 0;
  for (const int32_t count : tokens.counts) num_ids += count;
  check.same_length(num_ids, std::ssize(tokens.ids), "ids");
  for (const RequestNumber number : tokens.numbers) {
    if (number >= kMaxRequests) read_number(check, number);
  }
  for (const int32_t choice : tokens.choices) check.number(choice, kMaxChoices - 1, "choices");
}

int64_t num_scored_ids(RangeCheck& check, const Tokens& tokens) {
  int64_t sum = 0;
  int64_t last = -1;
  for (const int32_t run : tokens.scored) {
    if (run <= last || run >= std::ssize(tokens.numbers)) {
      check.fail("scored", format_text("names run {} after {}", run, last));
      return 0;
    }
    sum += tokens.counts.empty() ? 1 : tokens.counts[static_cast<size_t>(run)];
    last = run;
  }
  return sum;
}

}  // namespace

std::string to_bytes(const RequestId& id) {
  std::string bytes(16, '\0');
  for (size_t i = 0; i < 8; ++i) {
    bytes[i] = static_cast<char>(id.high >> (56 - 8 * i));
    bytes[8 + i] = static_cast<char>(id.low >> (56 - 8 * i));
  }
  return bytes;
}

RequestId read_id(RangeCheck& check, const std::string& bytes) {
  RequestId id;
  if (bytes.size() != 16) {
    check.fail("id", format_text("has {} bytes, allowed is 16", bytes.size()));
    return id;
  }
  for (size_t i = 0; i < 8; ++i) {
    id.high = id.high << 8 | static_cast<uint8_t>(bytes[i]);
    id.low = id.low << 8 | static_cast<uint8_t>(bytes[8 + i]);
  }
  return id;
}

RequestNumber read_number(RangeCheck& check, uint32_t number) {
  check.number(number, kMaxRequests - 1, "number");
  return check.ok() ? number : 0;
}

void write(const std::vector<LogprobEntry>& from, v1::JournalLogprobs& to) {
  bool has_top = false;
  for (const LogprobEntry& entry : from) {
    to.add_positions(static_cast<uint32_t>(entry.position));
    to.add_ids(static_cast<uint32_t>(entry.token.id));
    to.add_logprobs(entry.token.logprob);
    has_top |= !entry.top.empty();
  }
  if (!has_top) return;
  for (const LogprobEntry& entry : from) {
    to.add_num_top(static_cast<uint32_t>(entry.top.size()));
    for (const TokenAndLogprob& top : entry.top) {
      to.add_top_ids(static_cast<uint32_t>(top.id));
      to.add_top_logprobs(top.logprob);
    }
  }
}

void read(RangeCheck& check,
          const v1::JournalLogprobs& from,
          int64_t num_entries,
          std::vector<LogprobEntry>& to) {
  check.same_length(num_entries, from.positions_size(), "positions");
  check.same_length(num_entries, from.ids_size(), "ids");
  check.same_length(num_entries, from.logprobs_size(), "logprobs");
  check.same_length(from.top_ids_size(), from.top_logprobs_size(), "top_logprobs");
  if (from.num_top_size() != 0) check.same_length(num_entries, from.num_top_size(), "num_top");
  int next_top = 0;
  for (int i = 0; check.ok() && i < num_entries; ++i) {
    LogprobEntry& entry = to.emplace_back();
    entry.position = to_int32(check, from.positions(i), "positions");
    entry.token = {to_int32(check, from.ids(i), "ids"), from.logprobs(i)};
    const int64_t num_top = from.num_top_size() == 0 ? 0 : int64_t{from.num_top(i)};
    check.number(num_top, from.top_ids_size() - next_top, "num_top");
    for (int64_t k = 0; check.ok() && k < num_top; ++k, ++next_top) {
      entry.top.push_back(
          {to_int32(check, from.top_ids(next_top), "top_ids"), from.top_logprobs(next_top)});
    }
  }
  check.same_length(next_top, from.top_ids_size(), "top_ids");
}

void write(const Tokens& from, v1::JournalTokens& to) {
  to.mutable_numbers()->Add(from.numbers.begin(), from.numbers.end());
  wire::put(from.choices, to.mutable_choices());
  wire::put(from.counts, to.mutable_counts());
  wire::put(from.ids, to.mutable_ids());
  wire::put(from.scored, to.mutable_scored());
  if (!from.scored.empty()) write(from.logprobs, *to.mutable_logprobs());
}

void read(RangeCheck& check, const v1::JournalTokens& from, Tokens& to) {
  to.numbers.assign(from.numbers().begin(), from.numbers().end());
  wire::take(check, from.choices(), to.choices, "choices");
  wire::take(check, from.counts(), to.counts, "counts");
  wire::take(check, from.ids(), to.ids, "ids");
  wire::take(check, from.scored(), to.scored, "scored");
  check_runs(check, to);
  if (!check.ok()) return;
  const int64_t num_scored = num_scored_ids(check, to);
  if (check.ok()) read(check, from.logprobs(), num_scored, to.logprobs);
}

void write(const ConvertContext& context, const Ended& from, v1::JournalEnded& to) {
  const record::Ended& end = from.end;
  to.set_number(from.number);
  to.set_choice(static_cast<uint32_t>(end.choice));
  to.set_num_ids(static_cast<uint32_t>(end.num_ids));
  to.set_reason(to_wire(end.reason));
  to.set_stop_string(end.stop_string);
  if (end.stop_token) to.set_stop_token(static_cast<uint32_t>(*end.stop_token));
  to.set_error_code(static_cast<uint32_t>(end.error.code()));
  to.set_error(message_of(end.error));
  to.set_cached_tokens(static_cast<uint32_t>(end.cached_tokens));
  to.set_invariant(end.invariant);
  to.set_ended_us(context.to_wall(end.ended_us));
}

void read(const ConvertContext& context,
          RangeCheck& check,
          const v1::JournalEnded& from,
          Ended& to) {
  to.number = read_number(check, from.number());
  record::Ended& end = to.end;
  end.choice = read_choice(check, from.choice());
  end.num_ids = to_int32(check, from.num_ids(), "num_ids");
  end.reason = read_reason(check, from.reason());
  end.stop_string = from.stop_string();
  if (from.has_stop_token()) end.stop_token = to_int32(check, from.stop_token(), "stop_token");
  end.error = read_error(check, from);
  end.cached_tokens = to_int32(check, from.cached_tokens(), "cached_tokens");
  end.invariant = from.invariant();
  end.ended_us = context.from_wall(check, from.ended_us(), "ended_us");
}

void write(const ConvertContext& context, const Answer& from, v1::JournalAnswer& to) {
  to.set_number(from.number);
  to.set_id(to_bytes(from.id));
  for (const RestoredChoice& choice : from.choices) write(context, choice, *to.add_choices());
}

void read(const ConvertContext& context,
          RangeCheck& check,
          const v1::JournalAnswer& from,
          Answer& to) {
  to.number = read_number(check, from.number());
  to.id = read_id(check, from.id());
  read_choices(context, check, from.choices(), to.choices);
}

void write(const ConvertContext& context, const RequestState& from, v1::JournalRequest& to) {
  to.set_number(from.number);
  to.set_id(to_bytes(from.id));
  to.set_order(from.order);
  write(from.accepted_at, *to.mutable_accepted_at());
  if (from.answer_at) write(*from.answer_at, *to.mutable_answer_at());
  to.set_compatibility(from.compatibility);
  to.set_crashes(static_cast<uint32_t>(from.crashes));
  for (const RestoredChoice& choice : from.choices) write(context, choice, *to.add_choices());
}

void read(const ConvertContext& context,
          RangeCheck& check,
          const v1::JournalRequest& from,
          RequestState& to) {
  to.number = read_number(check, from.number());
  to.id = read_id(check, from.id());
  to.order = from.order();
  to.accepted_at = read(check, from.accepted_at());
  if (from.has_answer_at()) to.answer_at = read(check, from.answer_at());
  to.compatibility = from.compatibility();
  to.crashes = to_int32(check, from.crashes(), "crashes");
  read_choices(context, check, from.choices(), to.choices);
  if (to.answer_at.has_value() != to.choices.empty()) {
    check.fail("choices", "must stand in exactly one place");
  }
}

}  // namespace trireme::journal
