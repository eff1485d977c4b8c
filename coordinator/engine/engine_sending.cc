#include <algorithm>
#include <utility>

#include "coordinator/engine/engine_state.h"
#include "proto/credit.h"

namespace trireme {

namespace {

constexpr int64_t kFillBytes = 64 << 10;  // sent to one stream before others have their turn
constexpr int32_t kPieceIds = 256;        // of one Tokens

bool is_early(FinishReason reason) {
  return reason == FinishReason::kCancelled || reason == FinishReason::kError;
}

int64_t parts_cost(const std::vector<AnswerPart>& parts) {
  int64_t cost = 0;
  for (const AnswerPart& part : parts) {
    cost +=
        part_cost(static_cast<int64_t>(part.call_id.size() + part.name.size() + part.text.size()));
  }
  return cost;
}

int64_t num_pairs(const std::vector<LogprobEntry>& entries) {
  int64_t pairs = 0;
  for (const LogprobEntry& entry : entries) pairs += 1 + static_cast<int64_t>(entry.top.size());
  return pairs;
}

int64_t bytes_cost(const std::vector<TokenBytes>& entries) {
  size_t bytes = 0;
  for (const TokenBytes& entry : entries) {
    bytes += entry.token.size();
    for (const std::string& top : entry.top) bytes += top.size();
  }
  return static_cast<int64_t>(bytes);
}

// As the client counts it (proto/piece_cost.h).
int64_t cost_of(const effect::Tokens& tokens) {
  return piece_cost(static_cast<int64_t>(tokens.ids.size()),
                    static_cast<int64_t>(tokens.text.size()),
                    num_pairs(tokens.logprobs)) +
         bytes_cost(tokens.token_bytes) + parts_cost(tokens.parts);
}

int64_t cost_of(const effect::PromptLogprobs& values) {
  int64_t cost = bytes_cost(values.token_bytes);
  for (const LogprobEntry& entry : values.entries) {
    cost += prompt_logprobs_cost(static_cast<int64_t>(1 + entry.top.size()));
  }
  return cost;
}

int64_t cost_of(const effect::ProbeValues& values) {
  return probe_cost(static_cast<int64_t>(values.probe.values.size()));
}

}  // namespace

// Sends what is durable and was not sent, as credit and connection allow.
void Engine::State::fill(Turn& turn, Request& request) {
  if (!request.stream || !request.accepted_durable) return;
  Stream& stream = *request.stream;
  Reader& reader = readers_.at(stream.connection);
  if (reader.is_blocked) return;
  if (!stream.accept_sent) send_accept(turn, request);
  const int64_t most = std::min(kFillBytes, reader.room);
  int64_t room = most;
  send_values(turn, request, room);
  if (send_points(turn, request, room)) {
    for (const auto& sequence : request.sequences) {
      send_choice(turn, request, *sequence, kEndedIndex, room);
    }
  }
  reader.room -= most - room;
  if (room <= 0) behind_.insert(stream.connection);
  if (!stream.has_ended()) return;
  drop_stream(request);
  request.is_read = true;
  if (request.is_over) kept_.note_read(request.id);
}

void Engine::State::send_accept(Turn& turn, Request& request) {
  Stream& stream = *request.stream;
  stream.accept_sent = true;
  effect::Accept accept;
  accept.connection = stream.connection;
  accept.client_tag = stream.tag;
  accept.request = request.id;
  accept.seed = request.seed;
  accept.prompt_tokens = request.num_prompt;
  accept.repeated = stream.repeated;
  if (stream.repeated) accept.client_state = request.submit.client_state;
  if (request.submit.want_prompt_ids) {
    const std::vector<TokenId>& ids = request.sequences[0]->ids;
    accept.prompt_ids.assign(ids.begin(), ids.begin() + request.num_prompt);
  }
  turn.effects.push_back(std::move(accept));
  await_progress(turn, request);
}

void Engine::State::send_values(Turn& turn, Request& request, int64_t& room) {
  Stream& stream = *request.stream;
  while (!request.values.empty() && stream.credit_bytes > 0 && room > 0) {
    Effect values = std::move(request.values.front());
    request.values.pop_front();
    int64_t cost = 0;
    const auto address = [&](auto& one) {
      one.connection = stream.connection;
      one.client_tag = stream.tag;
      cost = cost_of(one);
    };
    if (auto* logprobs = std::get_if<effect::PromptLogprobs>(&values)) {
      if (request.submit.token_bytes) logprobs->token_bytes = token_bytes_of(logprobs->entries);
      address(*logprobs);
    } else if (auto* probe = std::get_if<effect::ProbeValues>(&values)) {
      address(*probe);
    }
    stream.credit_bytes -= cost;
    room -= cost;
    request.last_sent_us = turn.now_us;
    turn.effects.push_back(std::move(values));
  }
}

// Leads the stream from point to point; returns whether all of them are reached.
bool Engine::State::send_points(Turn& turn, Request& request, int64_t& room) {
  Stream& stream = *request.stream;
  while (!stream.points.empty()) {
    const AnswerPoint point = stream.points.front();
    const Sequence& sequence = *request.sequences[static_cast<size_t>(point.choice)];
    const Answer& answer = sequence.answer;
    const bool may_lack_ids = point.index != kEndedIndex && !answer.ending_durable;
    if (may_lack_ids && answer.durable < point.index) return false;
    send_choice(turn, request, sequence, point.index, room);
    const Stream::Cursor& cursor = stream.cursors[static_cast<size_t>(point.choice)];
    const bool is_reached =
        cursor.ended || (point.index != kEndedIndex && cursor.next >= point.index);
    if (!is_reached) return false;
    stream.points.pop_front();
  }
  return true;
}

// Up to the id `end`, or to the choice's end.
void Engine::State::send_choice(
    Turn& turn, Request& request, const Sequence& sequence, int32_t end, int64_t& room) {
  Stream& stream = *request.stream;
  Stream::Cursor& cursor = stream.cursors[static_cast<size_t>(sequence.choice)];
  const Answer& answer = sequence.answer;
  if (cursor.ended) return;
  const int32_t known = end == kEndedIndex ? answer.durable : std::min(answer.durable, end);
  while (cursor.next < known && stream.credit_bytes > 0 && room > 0 && request.values.empty()) {
    const int32_t last = std::min(known, cursor.next + kPieceIds);
    effect::Tokens tokens;
    tokens.connection = stream.connection;
    tokens.client_tag = stream.tag;
    tokens.request = request.id;
    tokens.choice = sequence.choice;
    tokens.first_index = cursor.next;
    const auto ids = sequence.ids.begin() + sequence.first_output;
    tokens.ids.assign(ids + cursor.next, ids + last);
    answer.read(cursor.next, last, tokens);
    if (request.submit.token_bytes) tokens.token_bytes = token_bytes_of(tokens.logprobs);
    cursor.next = last;
    const int64_t cost = cost_of(tokens);
    stream.credit_bytes -= cost;
    room -= cost;
    request.last_sent_us = turn.now_us;
    turn.effects.push_back(std::move(tokens));
  }
  if (!answer.ending_durable || (cursor.next == end && !is_early(answer.ending->reason))) return;
  const bool is_told = cursor.next >= answer.num_ids() && request.values.empty();
  if (is_told || is_early(answer.ending->reason)) send_finish(turn, request, sequence);
}

void Engine::State::send_finish(Turn& turn, Request& request, const Sequence& sequence) {
  Stream& stream = *request.stream;
  stream.cursors[static_cast<size_t>(sequence.choice)].ended = true;
  effect::Finish finish = *sequence.answer.ending;
  finish.connection = stream.connection;
  finish.client_tag = stream.tag;
  finish.last_choice = stream.has_ended();
  request.last_sent_us = turn.now_us;
  turn.effects.push_back(std::move(finish));
}

}  // namespace trireme
