#include <algorithm>

#include "coordinator/engine/engine_state.h"

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
  group.moved_us = turn.now_us;
  // A rank that cannot draw names the failure of the slot.
  const bool failed = result.ids.empty() && (group.canary || !result.failures.empty());
  if (!failed) group.token_us = last_token_us_ = turn.now_us;
  if (group.canary) end_canary(group);
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
  take_scores(turn, group, result);
  if (plan.is_alone) note_alone_step(plan, result.ids.size());
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
      settle(*request->second);
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

}  // namespace trireme
