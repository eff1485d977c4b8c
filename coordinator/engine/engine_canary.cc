#include <algorithm>

#include "coordinator/engine/engine_state.h"
#include "model/step_buckets.h"

namespace trireme {
namespace {

constexpr TokenId kCanaryToken = 0;

}  // namespace

// False while requests whose values nobody takes hold all slots or pages: they are no fault of the
// group's.
bool Engine::State::can_take_canary(const Group& group) {
  return group.in_flight.empty() && !group.free_slots.empty() && group.pool.available() > 0;
}

// While a group is idle, a request of the Engine's own has one token drawn from time to time, so
// that its health is known from what its ranks do. It is no request to anybody: it has no id, is
// not journaled, and counts nowhere; only the numbers of the group's steps go on.
void Engine::State::send_canaries(Turn& turn) {
  if (options_.canary_us == 0) return;
  for (auto& [id, group] : groups_) {
    const bool is_due = turn.now_us >= group.moved_us + options_.canary_us;
    if (is_due && can_take_canary(group)) send_canary(turn, group);
  }
}

void Engine::State::send_canary(Turn& turn, Group& group) {
  Canary& canary = group.canary.emplace();
  canary.slot = group.free_slots.back();
  group.free_slots.pop_back();
  canary.pages = group.pool.take(1);
  StepPlan plan = begin_plan(turn, group);
  StepPart& part = plan.parts[0];
  OpenedSlot opened;
  opened.slot = canary.slot;
  opened.num_prompt = 1;
  opened.sampling.temperature = 0;
  part.opened.push_back(opened);
  part.grants.push_back({canary.slot, canary.pages[0]});
  part.chunks.push_back({canary.slot, 0, true, {kCanaryToken}});
  plan.graph_key =
      graph_key_of(group.shape.token_buckets, group.shape.row_buckets, 1, 1, /*decode_only=*/false);
  turn.effects.push_back(effect::SendPlan{group.shape.group, std::move(plan), /*is_canary=*/true});
}

// The step that is over had nothing else in it.
void Engine::State::end_canary(Group& group) {
  group.pool.release(group.canary->pages);
  group.closed.push_back(group.canary->slot);
  group.free_slots.push_back(group.canary->slot);
  group.canary.reset();
}

TimeUs Engine::State::next_canary_us() const {
  TimeUs next = 0;
  if (options_.canary_us == 0) return next;
  for (const auto& [id, group] : groups_) {
    const TimeUs due = group.moved_us + options_.canary_us;
    if (can_take_canary(group)) next = next == 0 ? due : std::min(next, due);
  }
  return next;
}

}  // namespace trireme
