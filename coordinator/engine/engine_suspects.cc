#include <algorithm>
#include <utility>

#include "coordinator/engine/engine_state.h"

namespace trireme {

namespace {

constexpr int32_t kSuspectCrashes = 2;
constexpr int32_t kClearedTokens = 32;  // drawn in steps of its own

}  // namespace

// A request may be the cause of a crash: its values may hit a fault of the code. All requests of
// the step are counted. One that was there twice is a suspect and runs in steps of its own, so that
// a further crash hits nobody else and names the cause.
void Engine::State::note_crash(const Turn& turn, const Group& group, int64_t step) {
  const auto plan = std::ranges::find(group.in_flight, step, &PlanInFlight::step);
  if (step == 0 || plan == group.in_flight.end()) return;
  std::vector<Request*> requests;
  for (const Sequence* sequence : plan->named) {
    const bool is_known = std::ranges::find(requests, sequence->request) != requests.end();
    if (sequence->state != SequenceState::kFinished && !is_known) {
      requests.push_back(sequence->request);
    }
  }
  for (Request* request : requests) {
    if (plan->is_alone) {
      end_request(turn,
                  *request,
                  FinishReason::kError,
                  internal("TRI-REQ-099",
                           "a rank crashed while it computed this request alone, after {} crashes "
                           "in steps with it; it is ended so that the others go on",
                           kSuspectCrashes));
    } else {
      count_crash(*request);
    }
  }
}

void Engine::State::count_crash(Request& request) {
  if (request.crashes < kSuspectCrashes) {
    ++request.crashes;
    undurable_.add(record::Suspect{request.id, request.crashes});
  }
  set_apart(request);
}

// If it has been in enough crashes.
void Engine::State::set_apart(Request& request) {
  if (request.crashes < kSuspectCrashes || request.num_unfinished == 0) return;
  num_suspects_ += !std::exchange(request.runs_alone, true);
  request.alone_tokens = 0;
}

// The suspect whose steps the group computes: one that runs in it, else one that waits for it. One
// at a time; the group keeps the one that it has chosen.
Request* Engine::State::suspect_in(Group& group) {
  if (num_suspects_ == 0) return nullptr;
  for (const Sequence* sequence : group.running) {
    Request& request = *sequence->request;
    const bool is_running = sequence->state == SequenceState::kRunning;
    if (!request.runs_alone || !is_running || !request.may_compute()) continue;
    group.next_suspect = RequestId();
    return &request;
  }
  Request* first = nullptr;
  for (Sequence* sequence : waiting_) {
    Request& request = *sequence->request;
    if (!request.runs_alone || must_wait_for_sibling(*sequence) || !request.may_compute()) continue;
    if (!can_hold(group, *sequence)) continue;
    if (group.next_suspect == request.id) return &request;
    if (first == nullptr && may_choose(group, request)) first = &request;
  }
  group.next_suspect = first == nullptr ? RequestId() : first->id;
  return first;
}

// No other group waits to compute it, or this one need not wait.
bool Engine::State::may_choose(const Group& group, const Request& request) {
  for (auto& [id, other] : groups_) {
    if (other.next_suspect != request.id) continue;
    if (can_step_alone(other, request) || !can_step_alone(group, request)) return false;
    other.next_suspect = RequestId();
  }
  return true;
}

// Whether a step of it can be planned once nothing is in flight: it runs in the group, or there is
// a slot for it and room for what it has.
bool Engine::State::can_step_alone(const Group& group, const Request& suspect) const {
  for (const auto& sequence : suspect.sequences) {
    const bool runs_here = sequence->group == group.shape.group;
    if (runs_here && sequence->state == SequenceState::kRunning) return true;
    if (sequence->state != SequenceState::kWaiting || must_wait_for_sibling(*sequence)) continue;
    const int64_t room = int64_t{group.pool.available()} * group.shape.page_tokens;
    if (!group.free_slots.empty() && suspect.num_to_hold(*sequence) <= room) return true;
  }
  return false;
}

// A step of a suspect has come back.
void Engine::State::note_alone_step(const PlanInFlight& plan, size_t num_tokens) {
  Request& request = *plan.named.front()->request;
  request.alone_tokens += static_cast<int32_t>(num_tokens);
  if (request.alone_tokens >= kClearedTokens) clear_suspect(request);
}

// It has run far enough by itself, or it has ended. One more crash with it sets it apart again.
void Engine::State::clear_suspect(Request& request) {
  num_suspects_ -= std::exchange(request.runs_alone, false);
}

}  // namespace trireme
