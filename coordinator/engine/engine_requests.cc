#include <algorithm>

#include "base/check.h"
#include "coordinator/engine/engine_state.h"
#include "coordinator/engine/page_keys.h"
#include "model/tokenizer/tokenizer.h"
#include "proto/credit.h"

namespace trireme {

namespace {

constexpr size_t kMaxKept = 1024;        // requests with a key that are over
constexpr int64_t kRequestBytes = 4096;  // what a waiting request takes besides its prompt

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

void Engine::State::refuse(const SubmitRequest& submit, Status status, int64_t retry_after_ms) {
  effects_->push_back(
      effect::Refuse{submit.connection, submit.client_tag, std::move(status), retry_after_ms});
}

void Engine::State::handle(event::Submitted& event) {
  if (repeat_known(event.request)) return;
  int64_t retry_after_ms = 0;
  if (Status status = may_accept(event.request, &retry_after_ms); !status.ok()) {
    return refuse(event.request, std::move(status), retry_after_ms);
  }
  if (event.request.deadline_us != 0 && event.request.deadline_us <= now_us_) {
    return refuse(event.request, timed_out("TRI-REQ-036", "the deadline was over on arrival"), 0);
  }
  Request* request = accept(event.request);
  say_accepted(*request, false);
}

Request* Engine::State::accept(SubmitRequest& submit) {
  CHECK(!submit.prompt.empty());  // admission's promise
  auto owned = std::make_unique<Request>();
  Request& request = *owned;
  request.id = {random_(), random_()};
  request.num_prompt = static_cast<int32_t>(submit.prompt.size());
  request.submitted_us = now_us_;
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
    keys_[{request.submit.principal, request.submit.idempotency_key}] = request.id;
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

void Engine::State::say_accepted(Request& request, bool repeated) {
  const SubmitRequest& submit = request.submit;
  promise(effect::Accept{submit.connection,
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
    promise(std::move(tokens));
  }
}

// A key that is known names the request of then: the answer moves to the connection that asks now
// and is told again from its first token.
bool Engine::State::repeat_known(const SubmitRequest& submit) {
  if (submit.idempotency_key.empty()) return false;
  const auto known = keys_.find({submit.principal, submit.idempotency_key});
  if (known == keys_.end()) return false;
  Request& request = *requests_.at(known->second);
  end_stream(request);
  request.submit.connection = submit.connection;
  request.submit.client_tag = submit.client_tag;
  add_credit(request, submit.credit_bytes - request.credit_bytes);
  say_accepted(request, true);
  replay(request);
  return true;
}

// Whoever has heard the answer so far hears the end of its stream; the answer itself goes on.
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
    promise(std::move(ending));
  }
}

void Engine::State::add_credit(Request& request, int64_t bytes) {
  const bool had_some = request.credit_bytes > 0;
  request.credit_bytes += bytes;
  const bool has_some = request.credit_bytes > 0;
  if (has_some && !had_some) unread_.erase({request.unread_since_us, request.id});
  if (has_some || !had_some) return;
  request.unread_since_us = now_us_;
  unread_.emplace(now_us_, request.id);
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
    if (!tokens.ids.empty() || !tokens.text.empty()) promise(std::move(tokens));
    if (!sequence->ending) continue;
    effect::Finish ending = *sequence->ending;
    ending.connection = request.submit.connection;
    ending.client_tag = request.submit.client_tag;
    ending.text.clear();  // said above
    ending.last_choice = ++finished == static_cast<int32_t>(request.sequences.size());
    promise(std::move(ending));
  }
}

void Engine::State::handle(event::Cancelled& event) {
  const auto found = requests_.find(event.request);
  if (found == requests_.end()) return;
  if (event.connection != 0 && found->second->submit.connection != event.connection) return;
  end_request(*found->second, FinishReason::kCancelled, ok_status());
}

void Engine::State::handle(event::Disconnected& event) {
  std::vector<Request*> cancelled;
  for (const auto& [id, request] : requests_) {
    if (request->submit.connection != event.connection) continue;
    request->submit.connection = 0;
    add_credit(*request, INT64_MAX / 2);  // nobody reads: nothing is held back
    if (request->submit.on_disconnect == OnDisconnect::kCancel) cancelled.push_back(request.get());
  }
  for (Request* request : cancelled) end_request(*request, FinishReason::kCancelled, ok_status());
}

void Engine::State::handle(event::Resumed& event) {
  effects_->push_back(effect::Refuse{
      event.connection,
      event.client_tag,
      invalid("TRI-REQ-037",
              "the answer {} is not kept; submit the prompt again (with an idempotency key)",
              to_string(event.request)),
      0});
}

void Engine::State::handle(event::Credited& event) {
  const auto found = requests_.find(event.request);
  if (found == requests_.end() || found->second->submit.connection != event.connection) return;
  Request& request = *found->second;
  add_credit(request, std::min(event.bytes, kMaxCreditBytes - request.credit_bytes));
}

void Engine::State::handle(event::Tick&) {
  while (!deadlines_.empty() && deadlines_.begin()->first <= now_us_) {
    const RequestId id = deadlines_.begin()->second;
    deadlines_.erase(deadlines_.begin());
    const auto found = requests_.find(id);
    if (found == requests_.end()) continue;
    end_request(*found->second,
                FinishReason::kError,
                timed_out("TRI-REQ-038",
                          "the request's deadline is over after {} ms",
                          (now_us_ - found->second->submitted_us) / 1000));
  }
}

void Engine::State::end_request(Request& request, FinishReason reason, const Status& error) {
  for (const auto& sequence : request.sequences) {
    if (sequence->state == SequenceState::kFinished) continue;
    effect::Finish details;
    details.error = error;
    finish(*sequence, reason, std::move(details));
  }
  forget_if_over(&request);
}

void Engine::State::finish(Sequence& sequence, FinishReason reason, effect::Finish details) {
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
  details.queued_us = request.admitted_us == 0 ? now_us_ - request.submitted_us
                                               : request.admitted_us - request.submitted_us;
  details.first_token_us =
      request.first_token_us == 0 ? 0 : request.first_token_us - request.submitted_us;
  details.total_us = now_us_ - request.submitted_us;
  details.last_choice = request.num_unfinished == 0;
  details.invariant = request.invariant;
  if (!request.submit.idempotency_key.empty()) {
    sequence.text += details.text;
    sequence.ending = details;
  }
  promise(std::move(details));
  if (has_slot) release_if_unnamed(groups_.at(sequence.group), sequence);
}

// A request is forgotten when its answers are over and no plan names it; one with a key is kept for
// a while, so that the same Submit finds it again.
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
  kept_.push_back(request->id);
  kept_bytes_ += kept_bytes_of(*request);
  while (kept_.size() > kMaxKept || kept_bytes_ > options_.max_kept_bytes) forget_oldest_kept();
}

void Engine::State::forget_oldest_kept() {
  const auto oldest = requests_.find(kept_.front());
  kept_.pop_front();
  kept_bytes_ -= kept_bytes_of(*oldest->second);
  keys_.erase({oldest->second->submit.principal, oldest->second->submit.idempotency_key});
  requests_.erase(oldest);
}

}  // namespace trireme
