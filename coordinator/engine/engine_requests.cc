#include <algorithm>

#include "base/check.h"
#include "coordinator/engine/engine_state.h"
#include "coordinator/engine/page_keys.h"
#include "model/tokenizer/tokenizer.h"
#include "proto/credit.h"

namespace trireme {

namespace {

constexpr int64_t kRequestBytes = 4096;  // counted per request besides its prompt

int64_t bytes_of(const SubmitRequest& submit) {
  return kRequestBytes + 4 * static_cast<int64_t>(submit.prompt.size());
}

int64_t kept_bytes_of(const Request& request) {
  size_t bytes = kRequestBytes;
  for (const auto& sequence : request.sequences) {
    const size_t last_text = sequence->ending ? sequence->ending->text.size() : 0;
    bytes += sequence->ids.size() * sizeof(TokenId) + sequence->text.size() + last_text;
  }
  return static_cast<int64_t>(bytes);
}

}  // namespace

Status Engine::State::may_accept(const SubmitRequest& submit, int64_t* retry_after_ms) const {
  constexpr int64_t kRetryMs = 1000;
  const int64_t sequences = static_cast<int64_t>(waiting_.size()) + submit.params.num_choices;
  if (sequences > options_.max_waiting_requests ||
      waiting_bytes_ + bytes_of(submit) > options_.max_waiting_bytes) {
    *retry_after_ms = kRetryMs;
    return exhausted(
        "TRI-REQ-030",
        "the waiting queue is full ({} of {} requests, {} of {} bytes); retry after {} ms",
        waiting_.size(),
        options_.max_waiting_requests,
        waiting_bytes_,
        options_.max_waiting_bytes,
        kRetryMs);
  }
  int32_t longest = 0;
  for (const auto& [id, group] : groups_) {
    longest = std::max(longest, group.shape.longest());
  }
  const auto length = static_cast<int64_t>(submit.prompt.size());
  const bool fits = submit.kind == RequestKind::kGenerate ? length < longest : length <= longest;
  if (longest > 0 && !fits) {
    return invalid("TRI-REQ-035",
                   "the prompt has {} tokens, allowed are at most {}; shorten it or serve the "
                   "model with a larger --max-model-len",
                   length,
                   longest - (submit.kind == RequestKind::kGenerate ? 1 : 0));
  }
  return ok_status();
}

void Engine::State::refuse(Turn& turn,
                           const SubmitRequest& submit,
                           Status status,
                           int64_t retry_after_ms) {
  turn.effects.push_back(
      effect::Refuse{submit.connection, submit.client_tag, std::move(status), retry_after_ms});
}

void Engine::State::handle(Turn& turn, event::Submitted& event) {
  if (repeat_known(turn, event.request)) return;
  int64_t retry_after_ms = 0;
  if (Status status = may_accept(event.request, &retry_after_ms); !status.ok()) {
    return refuse(turn, event.request, std::move(status), retry_after_ms);
  }
  if (event.request.deadline_us != 0 && event.request.deadline_us <= turn.now_us) {
    return refuse(
        turn, event.request, timed_out("TRI-REQ-036", "the deadline was over on arrival"), 0);
  }
  Request* request = accept(turn, event.request);
  promise_accept(*request, false);
}

Request* Engine::State::accept(const Turn& turn, SubmitRequest& submit) {
  CHECK(!submit.prompt.empty());  // checked by admission
  auto owned = std::make_unique<Request>();
  Request& request = *owned;
  request.id = {random_(), random_()};
  request.num_prompt = static_cast<int32_t>(submit.prompt.size());
  request.submitted_us = turn.now_us;
  request.credit_bytes = submit.credit_bytes;
  request.seed = submit.params.seed ? *submit.params.seed : random_();
  request.sampling = submit.params.sampling;
  request.sampling.end_ids.clear();
  if (request.sampling.min_tokens > 0) {
    request.sampling.end_ids = submit.params.stop_token_ids;
    request.sampling.end_ids.insert(
        request.sampling.end_ids.end(), options_.eos_ids.begin(), options_.eos_ids.end());
  }
  waiting_bytes_ += bytes_of(submit);
  std::vector<TokenId> prompt = std::move(submit.prompt);
  request.submit = std::move(submit);
  request.probe_values_missing = static_cast<int32_t>(request.submit.probes.size());
  if (!request.submit.idempotency_key.empty()) {
    kept_.name(request.submit, request.id);
  }
  if (request.submit.deadline_us != 0) {
    deadlines_.emplace(request.submit.deadline_us, request.id);
  }
  add_sequences(request, std::move(prompt));
  requests_.emplace(request.id, std::move(owned));
  return &request;
}

void Engine::State::add_sequences(Request& request, std::vector<TokenId> prompt) {
  const int32_t choices = request.generates() ? request.submit.params.num_choices : 1;
  request.num_unfinished = choices;
  for (int32_t choice = 0; choice < choices; ++choice) {
    auto sequence = std::make_unique<Sequence>();
    sequence->request = &request;
    sequence->choice = choice;
    sequence->arrival = next_arrival_++;
    if (choice + 1 < choices) sequence->ids = prompt;
    waiting_.push_back(sequence.get());
    request.sequences.push_back(std::move(sequence));
  }
  request.sequences.back()->ids = std::move(prompt);
}

void Engine::State::promise_accept(Request& request, bool repeated) {
  const SubmitRequest& submit = request.submit;
  promises_.add(effect::Accept{submit.connection,
                               submit.client_tag,
                               request.id,
                               request.seed,
                               request.num_prompt,
                               repeated});
  if (!submit.params.echo || options_.tokenizer == nullptr || !request.generates()) return;
  for (const auto& sequence : request.sequences) {
    const std::span<const TokenId> ids(sequence->ids.data(), request.num_prompt);
    effect::Tokens tokens;
    tokens.connection = submit.connection;
    tokens.client_tag = submit.client_tag;
    tokens.request = request.id;
    tokens.choice = sequence->choice;
    tokens.text = options_.tokenizer->decode(ids, submit.params.skip_special_tokens);
    promises_.add(std::move(tokens));
  }
}

// A known idempotency key: the earlier request moves to the connection of this Submit, and its
// answer is sent again from the first token.
bool Engine::State::repeat_known(const Turn& turn, const SubmitRequest& submit) {
  if (submit.idempotency_key.empty()) return false;
  const std::optional<RequestId> known = kept_.find(submit);
  if (!known) return false;
  Request& request = *requests_.at(*known);
  end_stream(request);
  request.submit.connection = submit.connection;
  request.submit.client_tag = submit.client_tag;
  add_credit(turn, request, submit.credit_bytes - request.credit_bytes);
  promise_accept(request, true);
  replay(request);
  return true;
}

// Ends the stream on the connection that has received the answer so far. The request goes on.
void Engine::State::end_stream(Request& request) {
  if (request.submit.connection == 0) return;
  int32_t unfinished = request.num_unfinished;
  for (const auto& sequence : request.sequences) {
    if (sequence->state == SequenceState::kFinished) continue;
    effect::Finish ending;
    ending.connection = request.submit.connection;
    ending.client_tag = request.submit.client_tag;
    ending.request = request.id;
    ending.choice = sequence->choice;
    ending.reason = FinishReason::kError;
    ending.error = unavailable("TRI-REQ-039",
                               "the same idempotency key was submitted again, and that Submit "
                               "takes the answer over; read it there");
    ending.prompt_tokens = request.num_prompt;
    ending.output_tokens = sequence->num_sent;
    ending.last_choice = --unfinished == 0;
    promises_.add(std::move(ending));
  }
}

void Engine::State::add_credit(const Turn& turn, Request& request, int64_t bytes) {
  const bool had_some = request.credit_bytes > 0;
  request.credit_bytes += bytes;
  const bool has_some = request.credit_bytes > 0;
  if (has_some && !had_some) unread_.erase({request.unread_since_us, request.id});
  if (has_some || !had_some) return;
  request.unread_since_us = turn.now_us;
  unread_.emplace(turn.now_us, request.id);
}

void Engine::State::replay(Request& request) {
  int32_t finished = 0;
  for (const auto& sequence : request.sequences) {
    effect::Tokens tokens;
    tokens.connection = request.submit.connection;
    tokens.client_tag = request.submit.client_tag;
    tokens.request = request.id;
    tokens.choice = sequence->choice;
    const auto first = sequence->ids.begin() + request.num_prompt;
    tokens.ids.assign(first, first + sequence->num_sent);
    tokens.text = sequence->text;
    if (!tokens.ids.empty() || !tokens.text.empty()) promises_.add(std::move(tokens));
    if (!sequence->ending) continue;
    effect::Finish ending = *sequence->ending;
    ending.connection = request.submit.connection;
    ending.client_tag = request.submit.client_tag;
    ending.text.clear();  // part of the text above
    ending.last_choice = ++finished == static_cast<int32_t>(request.sequences.size());
    promises_.add(std::move(ending));
  }
}

void Engine::State::handle(Turn& turn, event::Cancelled& event) {
  const auto found = requests_.find(event.request);
  if (found == requests_.end()) return;
  if (event.connection != 0 && found->second->submit.connection != event.connection) return;
  end_request(turn, *found->second, FinishReason::kCancelled, ok_status());
}

void Engine::State::handle(Turn& turn, event::Disconnected& event) {
  std::vector<Request*> cancelled;
  for (const auto& [id, request] : requests_) {
    if (request->submit.connection != event.connection) continue;
    request->submit.connection = 0;
    add_credit(turn, *request, INT64_MAX / 2);  // no reader: credit no longer limits it
    if (request->submit.on_disconnect == OnDisconnect::kCancel) cancelled.push_back(request.get());
  }
  for (Request* request : cancelled)
    end_request(turn, *request, FinishReason::kCancelled, ok_status());
}

void Engine::State::handle(Turn& turn, event::Resumed& event) {
  turn.effects.push_back(effect::Refuse{
      event.connection,
      event.client_tag,
      invalid("TRI-REQ-037",
              "the answer {} is not kept; submit the prompt again (with an idempotency key)",
              to_string(event.request)),
      0});
}

void Engine::State::handle(Turn& turn, event::Credited& event) {
  const auto found = requests_.find(event.request);
  if (found == requests_.end() || found->second->submit.connection != event.connection) return;
  Request& request = *found->second;
  add_credit(turn, request, std::min(event.bytes, kMaxCreditBytes - request.credit_bytes));
}

void Engine::State::handle(Turn& turn, event::Tick&) {
  while (!deadlines_.empty() && deadlines_.begin()->first <= turn.now_us) {
    const RequestId id = deadlines_.begin()->second;
    deadlines_.erase(deadlines_.begin());
    const auto found = requests_.find(id);
    if (found == requests_.end()) continue;
    end_request(turn,
                *found->second,
                FinishReason::kError,
                timed_out("TRI-REQ-038",
                          "the request's deadline is over after {} ms",
                          (turn.now_us - found->second->submitted_us) / 1000));
  }
}

void Engine::State::end_request(const Turn& turn,
                                Request& request,
                                FinishReason reason,
                                const Status& error) {
  for (const auto& sequence : request.sequences) {
    if (sequence->state == SequenceState::kFinished) continue;
    effect::Finish details;
    details.error = error;
    finish(turn, *sequence, reason, std::move(details));
  }
  forget_if_over(&request);
}

void Engine::State::finish(const Turn& turn,
                           Sequence& sequence,
                           FinishReason reason,
                           effect::Finish details) {
  Request& request = *sequence.request;
  if (sequence.state == SequenceState::kWaiting) {
    waiting_.erase(std::find(waiting_.begin(), waiting_.end(), &sequence));
  }
  const bool has_slot = sequence.slot >= 0;
  sequence.state = SequenceState::kFinished;
  --request.num_unfinished;
  ++totals_.finished;
  details.connection = request.submit.connection;
  details.client_tag = request.submit.client_tag;
  details.request = request.id;
  details.choice = sequence.choice;
  details.reason = reason;
  details.prompt_tokens = request.num_prompt;
  details.output_tokens = request.num_output(sequence);
  details.cached_tokens = sequence.cached_tokens;
  details.queued_us = request.admitted_us == 0 ? turn.now_us - request.submitted_us
                                               : request.admitted_us - request.submitted_us;
  details.first_token_us =
      request.first_token_us == 0 ? 0 : request.first_token_us - request.submitted_us;
  details.total_us = turn.now_us - request.submitted_us;
  details.last_choice = request.num_unfinished == 0;
  details.invariant = request.invariant;
  if (!request.submit.idempotency_key.empty()) {
    sequence.text += details.text;
    sequence.ending = details;
  }
  promises_.add(std::move(details));
  if (has_slot) release_if_unnamed(groups_.at(sequence.group), sequence);
}

// Erases a request when all its choices are over and no plan in flight names it. One with an
// idempotency key goes to the kept answers first, so that the same Submit finds it again.
void Engine::State::forget_if_over(Request* request) {
  if (request->num_unfinished > 0 || request->is_kept) return;
  for (const auto& sequence : request->sequences) {
    if (sequence->slot >= 0) return;
  }
  if (request->submit.deadline_us != 0) {
    deadlines_.erase({request->submit.deadline_us, request->id});
  }
  unread_.erase({request->unread_since_us, request->id});
  waiting_bytes_ -= kRequestBytes + 4 * static_cast<int64_t>(request->num_prompt);
  if (request->submit.idempotency_key.empty()) {
    requests_.erase(request->id);
    return;
  }
  request->is_kept = true;
  kept_.keep(request->submit, request->id, kept_bytes_of(*request));
  while (const std::optional<RequestId> oldest = kept_.take_excess()) requests_.erase(*oldest);
}

}  // namespace trireme
