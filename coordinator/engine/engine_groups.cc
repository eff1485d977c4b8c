#include <algorithm>

#include "coordinator/engine/engine_state.h"
#include "coordinator/engine/scheduling/page_keys.h"

namespace trireme {

Group::Group(const GroupShape& shape) : shape(shape), pool(shape.num_pages) {
  slots.resize(shape.max_slots, nullptr);
  for (SlotId slot = shape.max_slots - 1; slot >= 0; --slot) free_slots.push_back(slot);
}

void Engine::State::handle(Turn& turn, event::GroupReady& event) {
  if (groups_.contains(event.shape.group)) {
    event::GroupLost lost{event.shape.group, groups_.at(event.shape.group).shape.epoch, {}};
    handle(turn, lost);
  }
  GroupShape shape = event.shape;
  shape.max_slots = std::min(shape.max_slots, options_.max_slots);
  if (options_.max_batched_tokens > 0) {
    shape.max_batched_tokens = std::min(shape.max_batched_tokens, options_.max_batched_tokens);
  }
  Group& group = groups_.emplace(shape.group, Group(shape)).first->second;
  group.moved_us = turn.now_us - options_.canary_us;  // it is tested at once
  end_too_long(turn);
}

// A group may come back with fewer pages than it had when a request was accepted: requests that fit
// no group any more end.
void Engine::State::end_too_long(const Turn& turn) {
  std::set<RequestId> ended;
  for (const Sequence* sequence : waiting_) {
    const bool fits = std::any_of(groups_.begin(), groups_.end(), [&](const auto& entry) {
      return can_hold(entry.second, *sequence);
    });
    if (!fits) ended.insert(sequence->request->id);
  }
  for (const RequestId& id : ended) {
    end_request(turn,
                *requests_.at(id),
                FinishReason::kError,
                unavailable("TRI-REQ-040",
                            "the groups that are ready now have too few pages for this request; "
                            "shorten it, or give them more memory (--kv-memory)"));
  }
}

// The group's sequences return to the queue as prompt + emitted tokens, from which another group
// computes them again.
void Engine::State::handle(Turn& turn, event::GroupLost& event) {
  const auto found = groups_.find(event.group);
  if (found == groups_.end() || found->second.shape.epoch != event.epoch) return;
  note_crash(turn, found->second, event.crashed_step);
  const std::vector<Sequence*> running = found->second.running;
  for (const PlanInFlight& plan : found->second.in_flight) {
    for (Sequence* sequence : plan.named) sequence->plans_in_flight = 0;
  }
  groups_.erase(found);
  std::vector<RequestId> ended;  // ids, not pointers: a request may be here twice, erased once
  for (Sequence* sequence : running) {
    clear_placement(*sequence);
    Request& request = *sequence->request;
    if (sequence->state == SequenceState::kFinished) {
      ended.push_back(request.id);
      continue;
    }
    queue_again(*sequence);
    if (request.has_values() && sequence == request.source_of_values()) {
      compute_values_again(request);
    }
  }
  for (const RequestId& id : ended) {
    const auto request = requests_.find(id);
    if (request != requests_.end()) settle(*request->second);
  }
}

// Clears all that the sequence held in a group.
void Engine::State::clear_placement(Sequence& sequence) {
  sequence.group = -1;
  sequence.slot = -1;
  sequence.opened = false;
  sequence.pages.clear();
  sequence.published = 0;
  sequence.computed = 0;
  sequence.draws_in_flight = 0;
  sequence.probes_in_flight = 0;
  sequence.last_draw_step = 0;
}

void Engine::State::queue_again(Sequence& sequence) {
  sequence.state = SequenceState::kWaiting;
  waiting_.add_again(sequence);
}

void Engine::State::release(Group& group, Sequence& sequence) {
  group.pool.release(sequence.pages);
  group.slots[sequence.slot] = nullptr;
  group.free_slots.push_back(sequence.slot);
  if (sequence.opened) group.closed.push_back(sequence.slot);
  group.running.erase(std::find(group.running.begin(), group.running.end(), &sequence));
  clear_placement(sequence);
}

// Slot and pages are released after the result of the last plan that names the sequence, and after
// its last probe: a probe can arrive after the result (another rank sends it) and is identified by
// its slot alone.
void Engine::State::release_if_unnamed(Group& group, Sequence& sequence) {
  if (sequence.plans_in_flight > 0 || sequence.probes_in_flight > 0 || sequence.slot < 0) return;
  if (sequence.state == SequenceState::kFinished) {
    release(group, sequence);
  } else if (sequence.state == SequenceState::kLeaving) {
    release(group, sequence);
    queue_again(sequence);
  }
}

// Whether a waiting sequence needs a slot or pages that the group does not have.
bool Engine::State::is_crowded(const Group& group) const {
  if (group.pool.available() == 0) return true;
  for (const Sequence* sequence : waiting_) {
    if (!sequence->request->may_compute() || must_wait_for_sibling(*sequence)) continue;
    const auto tokens = static_cast<int32_t>(sequence->ids.size()) + 1;
    return group.free_slots.empty() || tokens > group.pool.available() * group.shape.page_tokens;
  }
  return false;
}

// Preempts sequences whose values nobody has taken for kUnreadUs while others wait, the latest
// arrival first. They are admitted again when their client has granted credit.
void Engine::State::preempt_unread(const Turn& turn, Group& group) {
  if (unread_.empty() || unread_.begin()->first + kUnreadUs > turn.now_us) return;
  for (size_t i = group.running.size(); i-- > 0 && is_crowded(group);) {
    Sequence& sequence = *group.running[i];
    const Request& request = *sequence.request;
    if (sequence.state != SequenceState::kRunning || request.may_compute() ||
        request.unread_since_us + kUnreadUs > turn.now_us) {
      continue;
    }
    sequence.state = SequenceState::kLeaving;
    ++totals_.preemptions;
    release_if_unnamed(group, sequence);
  }
}

// Publishes the pages whose tokens are all known and planned, so that other prompts find them.
void Engine::State::publish_full_pages(Group& group, Sequence& sequence) {
  if (!options_.prefix_caching || !sequence.request->may_use_cache()) return;
  const int32_t page_tokens = group.shape.page_tokens;
  const int32_t known =
      std::min<int32_t>(sequence.computed, static_cast<int32_t>(sequence.ids.size()));
  while ((sequence.published + 1) * page_tokens <= known) {
    const std::span<const TokenId> tokens(sequence.ids.data() + sequence.published * page_tokens,
                                          page_tokens);
    sequence.parent = page_key(sequence.parent, tokens);
    group.pool.publish(sequence.pages[sequence.published], sequence.parent);
    ++sequence.published;
  }
}

}  // namespace trireme
