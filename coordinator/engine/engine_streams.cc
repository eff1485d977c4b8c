#include <algorithm>
#include <utility>

#include "coordinator/engine/engine_state.h"
#include "proto/credit.h"

namespace trireme {

namespace {

// Whether the answer of so many choices has the places that a client names.
Status check_places(const event::Resumed& event, size_t num_choices) {
  if (event.next_index.size() > num_choices) {
    return with_field(invalid("TRI-REQ-098",
                              "next_index has {} entries, the request has {} choices",
                              event.next_index.size(),
                              num_choices),
                      "next_index");
  }
  for (const AnswerPoint& point : event.points) {
    if (static_cast<size_t>(point.choice) < num_choices) continue;
    return with_field(invalid("TRI-REQ-098",
                              "points name choice {}, the request has {}, counted from 0",
                              point.choice,
                              num_choices),
                      "points");
  }
  return ok_status();
}

Status taken_over() {
  return conflict("TRI-REQ-039",
                  "another Submit or Resume of this request has taken the answer over; read it "
                  "there");
}

}  // namespace

void Engine::State::handle(Turn& turn, event::Durable& event) {
  const std::vector<Undurable::Mark> marks = undurable_.take(event.sequence);
  std::vector<RequestId> changed;
  for (const Undurable::Mark& mark : marks) {
    const auto found = requests_.find(mark.request);
    if (found == requests_.end()) continue;
    Request& request = *found->second;
    if (mark.choice < 0) {
      request.accepted_durable = true;
    } else {
      Answer& answer = request.sequences[static_cast<size_t>(mark.choice)]->answer;
      answer.durable = mark.num_ids;
      answer.ending_durable |= mark.ended;
    }
    if (changed.empty() || changed.back() != mark.request) changed.push_back(mark.request);
  }
  for (const RequestId& id : changed) {
    const auto found = requests_.find(id);
    if (found == requests_.end()) continue;
    fill(turn, *found->second);
    settle(*found->second);
  }
  forget_excess(turn);
}

// Every request ends, and clients are told so although that is not durable: an earlier promise
// cannot be kept.
void Engine::State::handle(Turn& turn, event::JournalFailed& event) {
  std::vector<Request*> requests;
  for (const auto& [id, request] : requests_) requests.push_back(request.get());
  for (Request* request : requests) {
    if (request->stream) {
      turn.effects.push_back(
          effect::Refuse{request->stream->connection, request->stream->tag, event.cause, 0});
      drop_stream(*request);
    }
    request->is_forgotten = true;
    for (const auto& sequence : request->sequences) {
      sequence->answer.ending_durable = true;
      if (sequence->state == SequenceState::kFinished) continue;
      effect::Finish details;
      details.reason = FinishReason::kError;
      details.error = event.cause;
      end_choice(*sequence, std::move(details), turn.now_us);
    }
    settle(*request);
  }
}

void Engine::State::handle(Turn& turn, event::Disconnected& event) {
  const auto found = readers_.find(event.connection);
  if (found == readers_.end()) return;
  const std::set<RequestId> requests = std::move(found->second.requests);
  readers_.erase(found);
  behind_.erase(event.connection);
  for (const RequestId& id : requests) {
    Request& request = *requests_.at(id);
    drop_stream(request);
    await_reader(turn, request, request.submit.disconnect_grace_us);
    note_unread(turn, request);
    settle(request);
  }
  cancel_unread(turn);
}

// A request that is to be cancelled with its connection ends unless a stream is opened within
// `grace_us`. One whose values wait for a reader does so after the time to live of answers.
void Engine::State::await_reader(const Turn& turn, Request& request, TimeUs grace_us) {
  if (request.num_unfinished == 0) return;
  if (request.submit.on_disconnect == OnDisconnect::kContinue) {
    if (!request.has_values()) return;
    grace_us = options_.answer_ttl_us;
  }
  request.cancel_due_us = turn.now_us + grace_us;
  cancels_.emplace(request.cancel_due_us, request.id);
}

// Requests whose client was away for longer than they allow.
void Engine::State::cancel_unread(Turn& turn) {
  while (!cancels_.empty() && cancels_.begin()->first <= turn.now_us) {
    const RequestId id = cancels_.begin()->second;
    cancels_.erase(cancels_.begin());
    cancel(turn, *requests_.at(id));
  }
}

// Also of a connection that has no stream yet.
void Engine::State::handle(Turn&, event::Blocked& event) {
  readers_[event.connection].is_blocked = true;
}

void Engine::State::handle(Turn& turn, event::Writable& event) {
  const auto found = readers_.find(event.connection);
  if (found == readers_.end()) return;
  Reader& reader = found->second;
  reader.is_blocked = false;
  reader.room = kReaderBytes;
  // In turn, so that one with much to read does not always come first.
  std::vector<RequestId> ids(reader.requests.upper_bound(reader.last_served),
                             reader.requests.end());
  ids.insert(ids.end(), reader.requests.begin(), reader.requests.upper_bound(reader.last_served));
  for (const RequestId& id : ids) {
    if (reader.room <= 0) return;
    reader.last_served = id;
    Request& request = *requests_.at(id);
    fill(turn, request);
    settle(request);
  }
}

std::vector<ConnectionId> Engine::State::take_behind() {
  std::vector<ConnectionId> behind(behind_.begin(), behind_.end());
  behind_.clear();
  return behind;
}

void Engine::State::handle(Turn& turn, event::Resumed& event) {
  const auto found = requests_.find(event.request);
  const bool is_known =
      found != requests_.end() && !found->second->is_forgotten && !found->second->has_lost_values();
  const auto refuse = [&](Status status, uint64_t nonce) {
    turn.effects.push_back(
        effect::Refuse{event.connection, event.client_tag, std::move(status), 0, nonce});
  };
  if (!is_known) {
    return refuse(not_found("TRI-REQ-037", "the answer is not kept; submit the prompt again"), 0);
  }
  Request& request = *found->second;
  if (Status status = check_places(event, request.sequences.size()); !status.ok()) {
    return refuse(std::move(status), 0);
  }
  if (Status status = may_read(request, event.nonce, turn.now_us); !status.ok()) {
    return refuse(std::move(status), request.nonce);
  }
  request.stream_arrived_us = turn.now_us;
  Stream stream;
  stream.connection = event.connection;
  stream.tag = event.client_tag;
  stream.credit_bytes = event.credit_bytes;
  stream.repeated = true;
  stream.cursors.resize(request.sequences.size());
  for (size_t choice = 0; choice < event.next_index.size(); ++choice) {
    const int32_t next = event.next_index[choice];
    stream.cursors[choice].ended = next == kEndedIndex;
    stream.cursors[choice].next = std::max(next, 0);
  }
  stream.points.assign(event.points.begin(), event.points.end());
  open_stream(turn, request, std::move(stream), event.nonce);
}

Status Engine::State::may_read(const Request& request, uint64_t nonce, TimeUs arrived_us) {
  const bool is_later =
      nonce > request.nonce || (nonce == request.nonce && arrived_us >= request.stream_arrived_us);
  return is_later ? ok_status() : taken_over();
}

// The stream that has read the answer so far ends; the request goes on.
void Engine::State::open_stream(Turn& turn, Request& request, Stream stream, uint64_t nonce) {
  if (request.stream) {
    turn.effects.push_back(
        effect::Refuse{request.stream->connection, request.stream->tag, taken_over(), 0, nonce});
    drop_stream(request);
  }
  cancels_.erase({request.cancel_due_us, request.id});
  request.cancel_due_us = 0;
  request.nonce = nonce;
  readers_[stream.connection].requests.insert(request.id);
  const bool repeats = stream.repeated;
  request.stream = std::move(stream);
  note_unread(turn, request);
  if (repeats && request.has_values()) restart_values(request);
  fill(turn, request);
  settle(request);
}

void Engine::State::drop_stream(Request& request) {
  if (!request.stream) return;
  const auto reader = readers_.find(request.stream->connection);
  if (reader != readers_.end()) reader->second.requests.erase(request.id);
  request.stream.reset();
  request.values.clear();
}

void Engine::State::handle(Turn& turn, event::Credited& event) {
  const auto found = requests_.find(event.request);
  if (found == requests_.end()) return;
  Request& request = *found->second;
  if (!request.stream || request.stream->connection != event.connection) return;
  int64_t& credit = request.stream->credit_bytes;
  credit = std::min(credit + event.bytes, kMaxCreditBytes);
  fill(turn, request);
  note_unread(turn, request);
  settle(request);
}

// Since when nobody takes the values of the request's prompt.
void Engine::State::note_unread(const Turn& turn, Request& request) {
  const auto entry = std::pair(request.unread_since_us, request.id);
  const bool is_unread = request.num_unfinished > 0 && !request.may_compute();
  if (!is_unread) {
    unread_.erase(entry);
  } else if (!unread_.contains(entry)) {
    request.unread_since_us = turn.now_us;
    unread_.emplace(turn.now_us, request.id);
  }
}

}  // namespace trireme
