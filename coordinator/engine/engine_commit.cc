#include <algorithm>

#include "base/check.h"
#include "coordinator/engine/engine_state.h"
#include "model/tokenizer/tokenizer.h"
#include "proto/credit.h"

namespace trireme {

// Commits ids first, then sends the next plan, then produces text. Only the result of the oldest
// plan in flight is accepted; any other is stale.
void Engine::State::handle(Turn& turn, event::StepDone& event) {
  const auto found = groups_.find(event.group);
  if (found == groups_.end()) return;
  Group& group = found->second;
  StepResult& result = event.result;
  const Epochs epochs{options_.coordinator_epoch, group.shape.epoch};
  if (result.epochs != epochs || group.in_flight.empty() ||
      group.in_flight.front().step != result.step) {
    return;
  }
  const PlanInFlight plan = std::move(group.in_flight.front());
  group.in_flight.erase(group.in_flight.begin());
  for (Sequence* sequence : plan.named) --sequence->plans_in_flight;
  for (Sequence* sequence : plan.drawing) --sequence->draws_in_flight;

  take_logprobs(group, result);
  size_t at = 0;
  for (size_t i = 0; i < result.slots.size() && i < result.counts.size(); ++i) {
    const size_t count = std::max(0, result.counts[i]);
    if (at + count > result.ids.size()) break;
    const SlotId slot = result.slots[i];
    const std::span<const TokenId> ids(result.ids.data() + at, count);
    at += count;
    if (slot < 0 || slot >= static_cast<SlotId>(group.slots.size())) continue;
    Sequence* sequence = group.slots[slot];
    if (sequence == nullptr || sequence->state == SequenceState::kFinished) continue;
    commit_ids(turn, *sequence, ids);
  }
  commit_failures(turn, group, result);
  promise_scores(turn, group, result);
  for (Sequence* sequence : plan.named) publish_full_pages(group, *sequence);
  plan_all(turn);
  for (Sequence* sequence : emitting_) emit_text(turn, *sequence);
  emitting_.clear();
  std::vector<RequestId> ended;
  for (Sequence* sequence : plan.named) {
    Request& request = *sequence->request;
    release_if_unnamed(group, *sequence);
    if (!request.generates() || request.num_unfinished == 0) ended.push_back(request.id);
  }
  for (const RequestId& id : ended) {
    const auto request = requests_.find(id);
    if (request == requests_.end()) continue;
    if (request->second->generates()) {
      forget_if_over(request->second.get());
    } else {
      finish_prompt_only(turn, *request->second);
    }
  }
}

void Engine::State::take_logprobs(Group& group, StepResult& result) {
  for (LogprobEntry& entry : result.logprobs) {
    if (entry.slot < 0 || entry.slot >= static_cast<SlotId>(group.slots.size())) continue;
    Sequence* sequence = group.slots[entry.slot];
    if (sequence != nullptr) sequence->new_logprobs.push_back(std::move(entry));
  }
}

Engine::State::Ending Engine::State::ending_of(const Sequence& sequence) const {
  const Request& request = *sequence.request;
  const GenerationParams& params = request.submit.params;
  const TokenId last = sequence.ids.back();
  const auto contains = [&](const std::vector<TokenId>& ids) {
    return std::find(ids.begin(), ids.end(), last) != ids.end();
  };
  Ending ending;
  if (request.num_output(sequence) == 0) return ending;
  ending.is_over = true;
  const bool early = request.num_output(sequence) <= request.sampling.min_tokens &&
                     request.sampling.min_tokens > 0;
  if (!early && contains(params.stop_token_ids)) {
    ending.stop_token = last;
    ending.last_id_is_silent = !params.include_stop_in_output;
    return ending;
  }
  if (!early && !params.ignore_eos && contains(options_.eos_ids)) {
    ending.last_id_is_silent = true;
    return ending;
  }
  const auto group = groups_.find(sequence.group);
  const int32_t longest = group == groups_.end() ? INT32_MAX : group->second.shape.longest();
  ending.reason = FinishReason::kLength;
  ending.is_over = request.num_output(sequence) >= params.max_tokens ||
                   static_cast<int32_t>(sequence.ids.size()) >= longest;
  return ending;
}

// Ids after an end were planned before the end was known; they are dropped.
void Engine::State::commit_ids(const Turn& turn, Sequence& sequence, std::span<const TokenId> ids) {
  Request& request = *sequence.request;
  for (const TokenId id : ids) {
    if (id < 0 || id >= options_.vocabulary_size) continue;
    sequence.ids.push_back(id);
    ++totals_.output_tokens;
    if (request.first_token_us == 0) request.first_token_us = turn.now_us;
    if (ending_of(sequence).is_over) {
      sequence.state = SequenceState::kEnding;
      break;
    }
  }
  emitting_.push_back(&sequence);
}

void Engine::State::commit_failures(const Turn& turn, Group& group, const StepResult& result) {
  for (const SlotFailure& failure : result.failures) {
    if (failure.slot < 0 || failure.slot >= static_cast<SlotId>(group.slots.size())) continue;
    Sequence* sequence = group.slots[failure.slot];
    if (sequence == nullptr || sequence->state == SequenceState::kFinished) continue;
    effect::Finish details;
    details.error = status_from_wire("TRI-STEP-001", failure.message);
    finish(turn, *sequence, FinishReason::kError, std::move(details));
  }
}

void Engine::State::promise_scores(const Turn& turn, Group& group, StepResult& result) {
  effect::PromptLogprobs scores;
  Request* request = nullptr;
  const auto flush = [&] {
    if (request == nullptr || scores.entries.empty()) return;
    scores.connection = request->submit.connection;
    scores.client_tag = request->submit.client_tag;
    scores.request = request->id;
    promises_.add(std::move(scores));
    scores = {};
  };
  for (LogprobEntry& entry : result.scores) {
    if (entry.slot < 0 || entry.slot >= static_cast<SlotId>(group.slots.size())) continue;
    const Sequence* sequence = group.slots[entry.slot];
    if (sequence == nullptr || sequence->state == SequenceState::kFinished) continue;
    CHECK(sequence->request != nullptr);
    Request& owner = *sequence->request;
    if (&owner != request) flush();
    request = &owner;
    add_credit(turn, owner, -prompt_logprobs_cost(static_cast<int64_t>(1 + entry.top.size())));
    scores.entries.push_back(std::move(entry));
  }
  flush();
}

void Engine::State::handle(Turn& turn, event::ProbeArrived& event) {
  const auto found = groups_.find(event.group);
  if (found == groups_.end() || event.probe.slot < 0 ||
      event.probe.slot >= static_cast<SlotId>(found->second.slots.size())) {
    return;
  }
  Sequence* sequence = found->second.slots[event.probe.slot];
  if (sequence == nullptr || sequence->probes_in_flight == 0) return;
  Request& request = *sequence->request;
  const bool is_last = event.probe.offset + static_cast<int64_t>(event.probe.values.size()) >=
                       event.probe.num_values;
  if (is_last) {
    --sequence->probes_in_flight;
    --request.probe_values_missing;
  }
  if (sequence->state != SequenceState::kFinished) {
    add_credit(turn, request, -probe_cost(static_cast<int64_t>(event.probe.values.size())));
    promises_.add(effect::ProbeValues{
        request.submit.connection, request.submit.client_tag, request.id, std::move(event.probe)});
  }
  release_if_unnamed(found->second, *sequence);
  if (request.generates()) {
    forget_if_over(&request);
  } else {
    finish_prompt_only(turn, request);
  }
}

// A score or probe request ends when its prompt is computed and every probe has arrived.
void Engine::State::finish_prompt_only(const Turn& turn, Request& request) {
  const Sequence& sequence = *request.sequences[0];
  if (request.num_unfinished > 0) {
    if (!request.prompt_done || sequence.plans_in_flight > 0 || request.probe_values_missing > 0) {
      return;
    }
    finish(turn, *request.sequences[0], FinishReason::kStop, {});
  }
  forget_if_over(&request);
}

// The text that the emitted id `index` releases. A special token that is left out of the text is
// still searched for stop strings.
std::string Engine::State::text_of(Sequence& sequence,
                                   int32_t index,
                                   bool may_stop,
                                   StopText::Found& found) const {
  const Request& request = *sequence.request;
  const GenerationParams& params = request.submit.params;
  const TokenId id = sequence.ids[request.num_prompt + index];
  const std::span<const std::string> stops =
      may_stop ? std::span<const std::string>(params.stop) : std::span<const std::string>();
  const bool include = params.include_stop_in_output;
  if (params.skip_special_tokens && options_.tokenizer->is_special(id)) {
    return sequence.stop_text.add_hidden(options_.tokenizer->piece(id), stops, include, found);
  }
  return sequence.stop_text.add(sequence.detokenizer->push(id), stops, include, found);
}

// Sends the new ids of a sequence. Their text follows as soon as its UTF-8 is complete and it
// cannot be the start of a stop string.
void Engine::State::emit_text(const Turn& turn, Sequence& sequence) {
  Request& request = *sequence.request;
  if (sequence.state == SequenceState::kFinished) return;
  const GenerationParams& params = request.submit.params;
  if (!sequence.detokenizer && options_.tokenizer != nullptr) {
    sequence.detokenizer.emplace(*options_.tokenizer, params.skip_special_tokens);
  }
  const Ending ending = ending_of(sequence);
  const int32_t first = sequence.num_sent;
  const int32_t end = request.num_output(sequence);
  std::string text;
  StopText::Found found;
  for (int32_t index = first; index < end && found.stop.empty(); ++index) {
    ++sequence.num_sent;
    const bool silent = ending.is_over && ending.last_id_is_silent && index + 1 == end;
    if (silent || !sequence.detokenizer) continue;
    // A stop string within the first min_tokens does not end the answer.
    const bool may_stop = index + 1 > request.sampling.min_tokens;
    text += text_of(sequence, index, may_stop, found);
  }
  if (!found.stop.empty()) {  // ids after the match are dropped
    sequence.ids.resize(request.num_prompt + sequence.num_sent);
  }
  promise_tokens(turn, sequence, first, std::move(text));
  const bool stopped = !found.stop.empty();
  if (!stopped && !ending.is_over) return;
  effect::Finish details;
  details.stop_string = found.stop;
  if (!stopped) {
    details.stop_token = ending.stop_token;
    details.text = sequence.stop_text.take_rest();
    if (sequence.detokenizer) details.text += sequence.detokenizer->finish();
  }
  finish(turn, sequence, stopped ? FinishReason::kStop : ending.reason, std::move(details));
}

void Engine::State::promise_tokens(const Turn& turn,
                                   Sequence& sequence,
                                   int32_t first,
                                   std::string text) {
  Request& request = *sequence.request;
  effect::Tokens tokens;
  tokens.connection = request.submit.connection;
  tokens.client_tag = request.submit.client_tag;
  tokens.request = request.id;
  tokens.choice = sequence.choice;
  tokens.first_index = first;
  const auto begin = sequence.ids.begin() + request.num_prompt + first;
  tokens.ids.assign(begin, sequence.ids.begin() + request.num_prompt + sequence.num_sent);
  int64_t pairs = 0;
  const size_t num_ids = tokens.ids.size();
  if (num_ids == 0 && text.empty()) return;
  if (!sequence.new_logprobs.empty()) {
    tokens.logprobs = std::move(sequence.new_logprobs);
    sequence.new_logprobs.clear();
    if (tokens.logprobs.size() > num_ids) tokens.logprobs.resize(num_ids);
    for (const LogprobEntry& entry : tokens.logprobs)
      pairs += 1 + static_cast<int64_t>(entry.top.size());
  }
  if (!request.submit.idempotency_key.empty()) sequence.text += text;
  add_credit(turn,
             request,
             -piece_cost(static_cast<int64_t>(num_ids), static_cast<int64_t>(text.size()), pairs));
  tokens.text = std::move(text);
  promises_.add(std::move(tokens));
}

}  // namespace trireme
