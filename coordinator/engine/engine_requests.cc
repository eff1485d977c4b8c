#include <algorithm>

#include "base/check.h"
#include "coordinator/engine/engine_state.h"

namespace trireme {

namespace {

constexpr int64_t kRetryMs = 1000;  // after a queue or the journal was full
constexpr int64_t kAgainMs = 1;     // after a state that is over

record::Ended ended(const Sequence& sequence, const effect::Finish& details, TimeUs now_us) {
  record::Ended entry;
  entry.id = sequence.request->id;
  entry.choice = sequence.choice;
  entry.num_ids = sequence.answer.num_ids();
  entry.reason = details.reason;
  entry.stop_string = details.stop_string;
  entry.stop_token = details.stop_token;
  entry.error = details.error;
  entry.cached_tokens = details.cached_tokens;
  entry.invariant = details.invariant;
  entry.ended_us = now_us;
  return entry;
}

// Every choice has a copy of the prompt.
int64_t bytes_of(const SubmitRequest& submit) {
  const int64_t choices = submit.kind == RequestKind::kGenerate ? submit.params.num_choices : 1;
  return kRequestBytes + static_cast<int64_t>(submit.client_state.size()) +
         4 * choices * static_cast<int64_t>(submit.prompt.size());
}

// The prompt is computed once for all choices.
int64_t most_tokens_of(const Sequence& sequence) {
  const Request& request = *sequence.request;
  const int64_t prompt = sequence.choice == 0 ? request.num_prompt : 0;
  return prompt + (request.generates() ? request.submit.params.max_tokens : 0);
}

// Of most_tokens_of(); what was computed again does not count.
int64_t used_tokens_of(const Sequence& sequence) {
  const Request& request = *sequence.request;
  const int32_t output = request.num_output(sequence);
  const bool has_prompt = sequence.choice == 0 && (output > 0 || sequence.computed > 0);
  return output + (has_prompt ? request.num_prompt - sequence.cached_tokens : 0);
}

}  // namespace

Status Engine::State::may_wait(const SubmitRequest& submit,
                               int64_t pending,
                               int64_t* retry_after_ms) const {
  const int64_t sequences =
      static_cast<int64_t>(waiting_.size()) + pending + submit.params.num_choices;
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
  return ok_status();
}

Status Engine::State::may_accept(const SubmitRequest& submit, int64_t* retry_after_ms) const {
  RETURN_IF_ERROR(may_wait(submit, 0, retry_after_ms));
  int32_t longest = 0;
  for (const auto& [id, group] : groups_) {
    longest = std::max(longest, group.shape.longest());
  }
  const auto length = static_cast<int64_t>(submit.prompt.size());
  const bool fits = submit.kind == RequestKind::kGenerate ? length < longest : length <= longest;
  if (longest > 0 && !fits) {
    return with_field(
        invalid("TRI-REQ-035",
                "the prompt has {} tokens, allowed are at most {}; shorten it or serve the model "
                "with a larger --max-model-len",
                length,
                longest - (submit.kind == RequestKind::kGenerate ? 1 : 0)),
        "prompt");
  }
  return ok_status();
}

// In the journal, for the acceptance and the end of the request.
Status Engine::State::reserve_room(const RequestId& id,
                                   const SubmitRequest& submit,
                                   int64_t* retry_after_ms) const {
  const JournalRoom room =
      options_.journal == nullptr ? JournalRoom::kReserved : options_.journal->reserve(id, submit);
  if (room == JournalRoom::kReserved) return ok_status();
  if (room == JournalRoom::kNever) {
    return with_field(
        invalid("TRI-JRN-007",
                "the longest answer that this request allows ({} choices of {} tokens) is too long "
                "for the journal; lower max_tokens, or raise --journal-size",
                submit.params.num_choices,
                submit.params.max_tokens),
        "max_tokens");
  }
  *retry_after_ms = kRetryMs;
  return exhausted("TRI-JRN-006",
                   "the journal has no room for this request now; retry after {} ms, or give it "
                   "more (--journal-size)",
                   kRetryMs);
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
  if (event.request.prompt.empty()) {
    return refuse(turn,
                  event.request,
                  conflict("TRI-REQ-100",
                           "the request of the idempotency key '{}' was cancelled in this moment; "
                           "submit it again",
                           event.request.idempotency_key),
                  kAgainMs);
  }
  if (Status status = may_accept(event.request, &retry_after_ms); !status.ok()) {
    return refuse(turn, event.request, std::move(status), retry_after_ms);
  }
  if (event.request.deadline_us != 0 && event.request.deadline_us <= turn.now_us) {
    return refuse(
        turn, event.request, timed_out("TRI-REQ-036", "the deadline was over on arrival"), 0);
  }
  const RequestId id{random_.next(), random_.next()};
  if (Status status = reserve_room(id, event.request, &retry_after_ms); !status.ok()) {
    return refuse(turn, event.request, std::move(status), retry_after_ms);
  }
  Request& request = accept(turn, id, event.request);
  note_unread(turn, request);
}

Request& Engine::State::accept(const Turn& turn, const RequestId& id, SubmitRequest& submit) {
  const uint64_t seed = submit.params.seed ? *submit.params.seed : random_.next();
  if (undurable_.keeps_entries()) {
    undurable_.add(record::Accepted{id, seed, submit, turn.now_us});
  }
  undurable_.allow({id, -1, 0, false});
  Request& request = add_request(id, seed, std::move(submit), turn.now_us, false);
  request.nonce = request.submit.nonce;
  request.stream_arrived_us = request.submit.arrived_us;
  Stream& stream = request.stream.emplace();
  stream.connection = request.submit.connection;
  stream.tag = request.submit.client_tag;
  stream.credit_bytes = request.submit.credit_bytes;
  stream.cursors.resize(request.sequences.size());
  readers_[stream.connection].requests.insert(request.id);
  return request;
}

Request& Engine::State::add_request(const RequestId& id,
                                    uint64_t seed,
                                    SubmitRequest submit,
                                    TimeUs submitted_us,
                                    bool is_restored) {
  CHECK(!submit.prompt.empty());  // checked by admission
  auto owned = std::make_unique<Request>();
  Request& request = *owned;
  request.id = id;
  request.seed = seed;
  request.num_prompt = static_cast<int32_t>(submit.prompt.size());
  request.submitted_us = submitted_us;
  request.arrived_us = submit.arrived_us > 0 ? submit.arrived_us : submitted_us;
  request.sampling = submit.params.sampling;
  request.sampling.end_ids.clear();
  if (request.sampling.min_tokens > 0) {
    request.sampling.end_ids = submit.params.stop_token_ids;
    request.sampling.end_ids.insert(
        request.sampling.end_ids.end(), options_.eos_ids.begin(), options_.eos_ids.end());
  }
  request.waiting_bytes = bytes_of(submit);
  waiting_bytes_ += request.waiting_bytes;
  std::vector<TokenId> prompt = std::move(submit.prompt);
  request.submit = std::move(submit);
  request.probe_values.resize(request.submit.probes.size());
  request.probe_values_missing = static_cast<int32_t>(request.submit.probes.size());
  kept_.name(request.submit, request.id);
  if (request.submit.deadline_us != 0) {
    deadlines_.emplace(request.submit.deadline_us, request.id);
  }
  add_sequences(request, std::move(prompt), is_restored);
  requests_.emplace(request.id, std::move(owned));
  return request;
}

void Engine::State::add_sequences(Request& request, std::vector<TokenId> prompt, bool is_restored) {
  const int32_t choices = request.generates() ? request.submit.params.num_choices : 1;
  request.num_unfinished = choices;
  for (int32_t choice = 0; choice < choices; ++choice) {
    auto sequence = std::make_unique<Sequence>();
    sequence->request = &request;
    sequence->choice = choice;
    sequence->first_output = request.num_prompt;
    sequence->arrival = next_arrival_++;
    if (choice + 1 < choices) sequence->ids = prompt;
    if (is_restored) {
      waiting_.add_again(*sequence);
    } else {
      waiting_.add(*sequence, most_tokens_of(*sequence));
    }
    request.sequences.push_back(std::move(sequence));
  }
  request.sequences.back()->ids = std::move(prompt);
}

void Engine::State::handle(Turn& turn, event::Cancelled& event) {
  const auto found = requests_.find(event.request);
  if (found == requests_.end() || found->second->is_forgotten) return;
  Request& request = *found->second;
  const bool is_reader = request.stream && request.stream->connection == event.connection;
  if (event.connection == 0 || is_reader) cancel(turn, request);
}

// Ends the request and frees its key. What its stream has not seen of choices that are over is
// dropped too: they count as cancelled.
void Engine::State::cancel(Turn& turn, Request& request) {
  request.is_forgotten = true;
  kept_.forget_key(request.submit, request.id);
  for (const auto& sequence : request.sequences) {
    if (!request.stream || !sequence->answer.ending) continue;
    effect::Finish& ending = *sequence->answer.ending;
    ending.reason = FinishReason::kCancelled;
    ending.text.clear();
    ending.parts.clear();
  }
  for (const auto& sequence : request.sequences) {
    if (sequence->state == SequenceState::kFinished) continue;
    finish(turn, *sequence, FinishReason::kCancelled, {});
  }
  fill(turn, request);
  settle(request);
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
                          (turn.now_us - found->second->arrived_us) / 1000));
  }
  cancel_unread(turn);
  forget_excess(turn);
  report_progress(turn);
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
  settle(request);
}

void Engine::State::set_times(const Turn& turn, const Request& request, effect::Finish& details) {
  const TimeUs arrived = request.arrived_us;
  const TimeUs admitted = request.admitted_us == 0 ? turn.now_us : request.admitted_us;
  details.tokenize_us = request.submitted_us - arrived;
  details.queued_us = admitted - arrived;
  if (request.first_token_us != 0) {
    details.prefill_us = request.first_token_us - admitted;
    details.first_token_us = request.first_token_us - arrived;
  }
  details.total_us = turn.now_us - arrived;
}

void Engine::State::finish(const Turn& turn,
                           Sequence& sequence,
                           FinishReason reason,
                           effect::Finish details) {
  set_times(turn, *sequence.request, details);
  details.cached_tokens = sequence.cached_tokens;
  details.invariant = sequence.request->invariant;
  details.reason = reason;
  if (undurable_.keeps_entries()) undurable_.add(ended(sequence, details, turn.now_us));
  undurable_.allow({sequence.request->id, sequence.choice, sequence.answer.num_ids(), true});
  end_choice(sequence, std::move(details), turn.now_us);
}

void Engine::State::end_choice(Sequence& sequence, effect::Finish details, TimeUs ended_us) {
  Request& request = *sequence.request;
  if (sequence.state == SequenceState::kWaiting) {
    waiting_.drop(sequence);
  }
  const bool has_slot = sequence.slot >= 0;
  waiting_.give_back(sequence, used_tokens_of(sequence));
  sequence.state = SequenceState::kFinished;
  --request.num_unfinished;
  if (request.num_unfinished == 0) clear_suspect(request);
  request.ended_us = ended_us;
  ++totals_.finished;
  details.request = request.id;
  details.choice = sequence.choice;
  details.prompt_tokens = request.num_prompt;
  details.output_tokens = sequence.answer.num_ids();
  if (sequence.answer_text) details.reasoning_tokens = sequence.answer_text->reasoning_tokens();
  if (details.reason == FinishReason::kCancelled || details.reason == FinishReason::kError) {
    kept_.forget_key(request.submit, request.id);
  }
  sequence.answer.ending = std::move(details);
  if (has_slot) release_if_unnamed(groups_.at(sequence.group), sequence);
}

}  // namespace trireme
