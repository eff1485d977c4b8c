#include <algorithm>

#include "coordinator/engine/engine_state.h"
#include "model/chat/answer/answer_format.h"

namespace trireme {

namespace {

int64_t kept_bytes_of(const Request& request) {
  auto bytes = static_cast<int64_t>(kRequestBytes);
  for (const auto& sequence : request.sequences) {
    bytes += static_cast<int64_t>(sequence->ids.size() * sizeof(TokenId));
    bytes += sequence->answer.bytes();
  }
  const SubmitRequest& submit = request.submit;
  const size_t texts = submit.principal.size() + submit.idempotency_key.size() +
                       submit.cache_salt.size() + submit.traceparent.size() +
                       submit.client_request_id.size() + submit.client_state.size() +
                       submit.share.size();
  return bytes + static_cast<int64_t>(texts);
}

// An answer that is over needs neither what it was generated with nor the work on its text.
void release_work(Request& request) {
  for (const auto& sequence : request.sequences) {
    sequence->answer_text.reset();  // refers to params
    sequence->pages = {};
    sequence->keys = {};
    sequence->new_logprobs = {};
    if (sequence->choice > 0 || !request.submit.want_prompt_ids) {
      const auto prompt = sequence->ids.begin();
      sequence->ids.erase(prompt, prompt + sequence->first_output);
      sequence->first_output = 0;
    }
    sequence->ids.shrink_to_fit();
  }
  request.submit.params = GenerationParams{};
  request.submit.probes = {};
  request.submit.format = nullptr;
  request.sampling = {};
}

}  // namespace

bool Engine::State::knows_key(const SubmitRequest& submit) const {
  if (submit.idempotency_key.empty()) return false;
  const std::optional<RequestId> known = kept_.find(submit);
  return known && !requests_.at(*known)->has_lost_values();
}

// A known idempotency key: the answer goes to the connection of this Submit, from its beginning.
// False: the Submit runs anew.
bool Engine::State::repeat_known(Turn& turn, const SubmitRequest& submit) {
  if (submit.idempotency_key.empty()) return false;
  const std::optional<RequestId> known = kept_.find(submit);
  if (!known) return false;
  Request& request = *requests_.at(*known);
  if (request.submit.digest != submit.digest) {
    refuse(turn,
           submit,
           with_field(conflict("TRI-REQ-042",
                               "the idempotency key '{}' names an earlier request with another "
                               "prompt or other parameters; take a new key",
                               submit.idempotency_key),
                      "idempotency_key"),
           0);
    return true;
  }
  if (const Status status = may_read(request, submit.nonce, submit.arrived_us); !status.ok()) {
    turn.effects.push_back(
        effect::Refuse{submit.connection, submit.client_tag, status, 0, request.nonce});
    return true;
  }
  if (request.has_lost_values()) {
    kept_.forget_key(request.submit, request.id);
    return false;
  }
  request.submit.progress_interval_us = submit.progress_interval_us;
  request.stream_arrived_us = submit.arrived_us;
  Stream stream;
  stream.connection = submit.connection;
  stream.tag = submit.client_tag;
  stream.credit_bytes = submit.credit_bytes;
  stream.repeated = true;
  stream.cursors.resize(request.sequences.size());
  open_stream(turn, request, std::move(stream), submit.nonce);
  return true;
}

void Engine::State::settle(Request& request) {
  if (request.num_unfinished > 0) return;
  for (const auto& sequence : request.sequences) {
    if (sequence->slot >= 0 || !sequence->answer.ending_durable) return;
  }
  if (!request.is_over) {
    request.is_over = true;
    request.had_values = request.has_values();
    if (request.submit.deadline_us != 0) {
      deadlines_.erase({request.submit.deadline_us, request.id});
    }
    unread_.erase({request.unread_since_us, request.id});
    waiting_bytes_ -= request.waiting_bytes;
    release_work(request);
    kept_.keep(request.id, kept_bytes_of(request), request.ended_us);
    if (request.is_read) kept_.note_read(request.id);
  }
  if (request.is_forgotten && !request.stream) forget(request);
}

// Erases the request, which is over.
void Engine::State::forget(Request& request) {
  drop_stream(request);
  progress_due_.erase({request.progress_due_us, request.id});
  cancels_.erase({request.cancel_due_us, request.id});
  kept_.forget_key(request.submit, request.id);
  kept_.erase(request.id);
  undurable_.add(record::Forgotten{request.id});
  requests_.erase(request.id);
}

// Answers whose time to live is over, and those for which there is no room.
void Engine::State::forget_excess(Turn& turn) {
  while (const auto id = kept_.excess(turn.now_us - options_.answer_ttl_us)) {
    Request& request = *requests_.at(*id);
    if (request.stream) {
      turn.effects.push_back(effect::Refuse{
          request.stream->connection,
          request.stream->tag,
          exhausted("TRI-NET-016",
                    "the answer was not read, and there is no room to keep it longer; grant "
                    "credit as data is read"),
          0});
    }
    forget(request);
  }
}

}  // namespace trireme
