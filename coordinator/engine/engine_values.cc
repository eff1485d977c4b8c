#include <algorithm>

#include "base/check.h"
#include "coordinator/engine/engine_state.h"

namespace trireme {

namespace {

// Entries per message, so that no frame is too large whatever the bytes of the tokens.
constexpr size_t kMaxScores = 1024;

}  // namespace

// Log-probabilities come in order of position. Those of a computation that was given up (group
// lost, stream resumed) may still arrive; only the next one counts.
void Engine::State::take_scores(Turn& turn, Group& group, StepResult& result) {
  std::vector<Request*> changed;
  for (LogprobEntry& entry : result.scores) {
    if (entry.slot < 0 || entry.slot >= static_cast<SlotId>(group.slots.size())) continue;
    const Sequence* sequence = group.slots[entry.slot];
    if (sequence == nullptr || sequence->state == SequenceState::kFinished) continue;
    Request& request = *sequence->request;
    if (entry.position != request.scored + 1) continue;
    request.scored = entry.position;
    if (!request.stream) continue;
    auto* last = request.values.empty()
                     ? nullptr
                     : std::get_if<effect::PromptLogprobs>(&request.values.back());
    if (last == nullptr || last->entries.size() >= kMaxScores) {
      last = &std::get<effect::PromptLogprobs>(
          request.values.emplace_back(effect::PromptLogprobs{0, 0, request.id, {}, {}}));
    }
    last->entries.push_back(std::move(entry));
    if (changed.empty() || changed.back() != &request) changed.push_back(&request);
  }
  for (Request* request : changed) {
    fill(turn, *request);
    note_unread(turn, *request);
  }
}

void Engine::State::handle(Turn& turn, event::ProbeArrived& event) {
  const auto found = groups_.find(event.group);
  Probe& probe = event.probe;
  if (found == groups_.end()) return;
  const Epochs epochs{options_.coordinator_epoch, found->second.shape.epoch};
  if (probe.epochs != epochs || probe.slot < 0 ||
      probe.slot >= static_cast<SlotId>(found->second.slots.size())) {
    return;
  }
  Sequence* sequence = found->second.slots[probe.slot];
  if (sequence == nullptr || sequence->probes_in_flight == 0) return;
  Request& request = *sequence->request;
  const auto end = probe.offset + static_cast<int64_t>(probe.values.size());
  const bool is_last = end >= probe.num_values;
  if (is_last) --sequence->probes_in_flight;
  if (sequence->state != SequenceState::kFinished) {
    const std::vector<ProbeRequest>& probes = request.submit.probes;
    for (size_t i = 0; i < probes.size(); ++i) {
      if (probes[i].position != probe.position || probes[i].layer != probe.layer ||
          request.probe_values[i] != probe.offset) {
        continue;
      }
      request.probe_values[i] = is_last ? kAllProbeValues : end;
      if (is_last) --request.probe_values_missing;
      if (request.stream) {
        request.values.push_back(effect::ProbeValues{0, 0, request.id, std::move(probe)});
      }
      break;
    }
    fill(turn, request);
    note_unread(turn, request);
  }
  release_if_unnamed(found->second, *sequence);
  if (request.generates()) {
    settle(request);
  } else {
    finish_prompt_only(turn, request);
  }
}

// The values are computed and sent again, from the first on.
void Engine::State::restart_values(Request& request) {
  request.values.clear();
  request.scored = 0;
  request.probe_values.assign(request.submit.probes.size(), 0);
  compute_values_again(request);
}

// The prompt is computed again for the values that have not arrived.
void Engine::State::compute_values_again(Request& request) {
  request.prompt_done = false;
  request.probe_values_missing = 0;
  for (const int64_t values : request.probe_values) {
    if (values != kAllProbeValues) ++request.probe_values_missing;
  }
  Sequence* sequence = request.source_of_values();
  if (sequence == nullptr || sequence->state != SequenceState::kRunning) return;
  sequence->state = SequenceState::kLeaving;
  release_if_unnamed(groups_.at(sequence->group), *sequence);
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
  settle(request);
}

}  // namespace trireme
