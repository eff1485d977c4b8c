#include <algorithm>

#include "coordinator/engine/engine_state.h"
#include "coordinator/engine/scheduling/page_keys.h"
#include "model/step_buckets.h"

namespace trireme {

namespace {

constexpr size_t kLookAhead = 64;                 // waiting sequences considered per plan
constexpr size_t kMaxUndurableMarks = 256 << 10;  // about 8 MiB of records

}  // namespace

// While the journal is far behind, no work is added to what waits for it.
void Engine::State::plan_all(Turn& turn) {
  if (undurable_.num_marks() > kMaxUndurableMarks) return;
  for (auto& [id, group] : groups_) {
    preempt_unread(turn, group);
    const size_t max_in_flight = group.shape.num_stages + 1;
    while (group.in_flight.size() < max_in_flight && plan_one(turn, group)) {
    }
  }
}

// While the group computes a suspect, one step is in flight at a time, and the suspect's take turns
// with those of the others.
bool Engine::State::plan_one(Turn& turn, Group& group) {
  if (group.running.empty() && waiting_.empty()) return false;
  const Request* const suspect = suspect_in(group);
  if (suspect == nullptr || !can_step_alone(group, *suspect)) {
    return plan_step(turn, group, {suspect, false});
  }
  if (!group.in_flight.empty()) return false;
  for (const bool is_alone : {group.alone_is_next, !group.alone_is_next}) {
    if (!plan_step(turn, group, {suspect, is_alone})) continue;
    if (!group.in_flight.empty()) group.alone_is_next = !is_alone;  // else it has only made room
    return true;
  }
  return false;
}

// Plans the next cohort that has tokens. Cohorts take turns, so that they follow each other through
// the pipeline stages.
bool Engine::State::plan_step(Turn& turn, Group& group, const StepScope& scope) {
  count_waiting(group, scope);
  const int32_t cohorts = group.shape.num_stages;
  for (int32_t offset = 0; offset < cohorts; ++offset) {
    const int32_t cohort = (group.next_cohort + offset) % cohorts;
    count_running(group, scope);
    SchedulerInput input;
    input.running = scratch_.running;
    input.waiting = scratch_.waiting;
    input.cohort = cohort;
    input.page_tokens = group.shape.page_tokens;
    input.free_pages = group.pool.available();
    input.max_batched_tokens = group.shape.max_batched_tokens;
    input.free_slots = static_cast<int32_t>(group.free_slots.size());
    schedule(input, scratch_.decision);
    for (const int32_t index : scratch_.decision.preempted) {
      Sequence& victim = *group.running[index];
      victim.state = SequenceState::kLeaving;
      ++totals_.preemptions;
    }
    const bool preempted = !scratch_.decision.preempted.empty();
    const bool has_tokens = !scratch_.decision.decodes.empty() ||
                            !scratch_.decision.chunks.empty() ||
                            !scratch_.decision.admitted.empty();
    if (has_tokens) {
      group.next_cohort = (cohort + 1) % cohorts;
      send_plan(turn, group);
      group.in_flight.back().is_alone = scope.is_alone;
    }
    if (preempted) {
      const std::vector<Sequence*> running = group.running;
      for (Sequence* sequence : running) release_if_unnamed(group, *sequence);
    }
    if (has_tokens || preempted) return true;
  }
  return false;
}

bool Engine::State::can_draw(const Sequence& sequence) const {
  const Request& request = *sequence.request;
  const Group& group = groups_.at(sequence.group);
  const int32_t longest = group.shape.longest();
  const auto known = static_cast<int32_t>(sequence.ids.size());
  return request.num_output(sequence) + sequence.draws_in_flight <
             request.submit.params.max_tokens &&
         known + sequence.draws_in_flight < longest;
}

void Engine::State::count_running(const Group& group, const StepScope& scope) {
  scratch_.running.clear();
  for (const Sequence* sequence : group.running) {
    const auto known = static_cast<int32_t>(sequence->ids.size());
    RunningCounts counts;
    counts.arrival = sequence->arrival;
    counts.cohort = sequence->cohort;
    counts.computed = sequence->computed;
    counts.left = std::max(0, known - sequence->computed);
    counts.decodes =
        sequence->draws_in_flight > 0 || (counts.left == 1 && sequence->last_draw_step > 0);
    counts.pages_held = static_cast<int32_t>(sequence->pages.size());
    counts.leaving = sequence->state != SequenceState::kRunning;
    counts.paused = !scope.includes(*sequence->request) || !sequence->request->may_compute() ||
                    (counts.decodes && !can_draw(*sequence)) ||
                    (!counts.decodes && counts.left == 0);
    scratch_.running.push_back(counts);
  }
}

// Choices 1 and up of a request wait until choice 0 has its prompt planned, then share its pages.
bool Engine::State::must_wait_for_sibling(const Sequence& sequence) const {
  if (sequence.choice == 0) return false;
  const Sequence& first = *sequence.request->sequences[0];
  return first.state == SequenceState::kWaiting ||
         (first.state == SequenceState::kRunning && first.computed < sequence.request->num_prompt);
}

// Requests share cached pages only with those of an equal principal and salt.
PageKey Engine::State::cache_space_of(const Request& request) const {
  return first_parent(options_.cache_salt, request.submit.principal, request.submit.cache_salt);
}

// Page keys of the sequence's full pages. Cached in the sequence: every plan looks at the queue.
const std::vector<PageKey>& Engine::State::keys_of(Sequence& sequence, int32_t page_tokens) const {
  std::vector<PageKey>& keys = sequence.keys;
  // Without the last known token: it has to be computed, since its logits give the next one.
  const size_t pages = (sequence.ids.size() - 1) / static_cast<size_t>(page_tokens);
  if (sequence.keys_page_tokens == page_tokens && keys.size() == pages) return keys;
  keys.clear();
  keys.reserve(pages);
  sequence.keys_page_tokens = page_tokens;
  PageKey parent = cache_space_of(*sequence.request);
  for (size_t page = 0; page < pages; ++page) {
    const auto tokens = static_cast<size_t>(page_tokens);
    parent = page_key(parent, std::span(sequence.ids).subspan(page * tokens, tokens));
    keys.push_back(parent);
  }
  return keys;
}

int32_t Engine::State::cached_tokens(Group& group, Sequence& sequence) {
  if (!sequence.request->may_use_cache()) return 0;
  if (!options_.prefix_caching) {
    if (sequence.choice == 0) return 0;
    const Sequence& first = *sequence.request->sequences[0];
    if (first.state != SequenceState::kRunning || first.group != group.shape.group) return 0;
    return (sequence.request->num_prompt - 1) / group.shape.page_tokens * group.shape.page_tokens;
  }
  const int32_t page_tokens = group.shape.page_tokens;
  return group.pool.count_cached(keys_of(sequence, page_tokens)) * page_tokens;
}

// Whether an empty group could hold the sequence and, if it generates, one more token.
bool Engine::State::can_hold(const Group& group, const Sequence& sequence) const {
  return sequence.request->num_to_hold(sequence) <= group.shape.longest();
}

// Asked again and again while the journal is full: nothing behind this request is admitted.
bool Engine::State::has_room_to_run(Request& request) const {
  if (!request.has_room) {
    request.has_room = options_.journal == nullptr || options_.journal->reserve_run(request.id);
  }
  return request.has_room;
}

// The group with the least load: its uncomputed tokens plus those that this sequence would add
// after its cached prefix; then the one with fewer running sequences; then the lower id.
Group* Engine::State::best_group_for(Sequence& sequence) {
  Group* best = nullptr;
  std::pair<int64_t, size_t> best_load;
  for (auto& [id, group] : groups_) {
    if (group.free_slots.empty() || !can_hold(group, sequence)) continue;
    int64_t load = group.uncomputed + static_cast<int64_t>(sequence.ids.size());
    if (groups_.size() > 1) load -= cached_tokens(group, sequence);
    const std::pair<int64_t, size_t> candidate(load, group.running.size());
    if (best == nullptr || candidate < best_load) {
      best = &group;
      best_load = candidate;
    }
  }
  return best;
}

// Slots and pages for a suspect that waits are left free by the steps of the others.
void Engine::State::count_waiting(Group& group, const StepScope& scope) {
  scratch_.waiting.clear();
  scratch_.candidates.clear();
  if (group.free_slots.empty()) return;
  for (auto& [id, each] : groups_) {
    each.uncomputed = 0;
    for (const Sequence* other : each.running) {
      const auto known = static_cast<int64_t>(other->ids.size());
      each.uncomputed += std::max<int64_t>(0, known - other->computed);
    }
  }
  int64_t room = int64_t{group.pool.available()} * group.shape.page_tokens;
  size_t slots = std::min(kLookAhead, group.free_slots.size());
  for (Sequence* sequence : waiting_) {
    if (scratch_.candidates.size() >= slots) break;
    if (must_wait_for_sibling(*sequence) || !sequence->request->may_compute()) continue;
    const bool is_included = scope.includes(*sequence->request);
    if (!is_included && (scope.is_alone || sequence->request != scope.suspect)) continue;
    const int32_t held = sequence->request->num_to_hold(*sequence);
    const bool fits = held <= room;  // FCFS: nothing behind one that does not fit
    if (!fits && groups_.size() == 1) break;
    if (sequence->request != scope.suspect && best_group_for(*sequence) != &group) continue;
    if (!fits || !has_room_to_run(*sequence->request)) break;
    room -= held;
    if (!is_included) {
      --slots;
      continue;
    }
    WaitingCounts counts;
    counts.cached = cached_tokens(group, *sequence);
    const auto known = static_cast<int32_t>(sequence->ids.size());
    counts.tokens = known - counts.cached;
    counts.draws = held - known;
    scratch_.waiting.push_back(counts);
    scratch_.candidates.push_back(sequence);
  }
}

StepPlan Engine::State::begin_plan(const Turn& turn, Group& group) {
  StepPlan plan;
  plan.epochs = {options_.coordinator_epoch, group.shape.epoch};
  plan.step = group.next_step++;
  plan.parts.resize(1);
  plan.parts[0].closed = std::move(group.closed);
  group.closed.clear();
  if (group.in_flight.empty()) group.moved_us = turn.now_us;
  group.in_flight.emplace_back();
  group.in_flight.back().step = plan.step;
  return plan;
}

void Engine::State::send_plan(Turn& turn, Group& group) {
  const SchedulerDecision& decision = scratch_.decision;
  StepPlan plan = begin_plan(turn, group);
  StepPart& part = plan.parts[0];
  PlanInFlight& flight = group.in_flight.back();

  part.decodes.reserve(decision.decodes.size());
  for (const Slice& slice : decision.decodes) {
    Sequence& sequence = *group.running[slice.index];
    plan.wait_ids_through = std::max(plan.wait_ids_through, sequence.last_draw_step);
    plan_decode(group, sequence, part, flight);
  }
  for (const Slice& slice : decision.chunks) {
    plan_chunk(group, *group.running[slice.index], slice.tokens, part, flight);
  }
  for (const Slice& slice : decision.admitted) {
    Sequence& sequence = *scratch_.candidates[slice.index];
    admit(turn, group, sequence, part);
    plan_chunk(group,
               sequence,
               std::min<int32_t>(slice.tokens,
                                 static_cast<int32_t>(sequence.ids.size()) - sequence.computed),
               part,
               flight);
  }
  int32_t tokens = static_cast<int32_t>(part.decodes.size());
  for (const Chunk& chunk : part.chunks) tokens += static_cast<int32_t>(chunk.ids.size());
  plan.graph_key = graph_key_of(group.shape.token_buckets,
                                group.shape.row_buckets,
                                tokens,
                                static_cast<int32_t>(flight.drawing.size()),
                                part.chunks.empty());
  turn.effects.push_back(effect::SendPlan{group.shape.group, std::move(plan)});
}

void Engine::State::admit(const Turn& turn, Group& group, Sequence& sequence, StepPart& part) {
  Request& request = *sequence.request;
  waiting_.admit(sequence);
  sequence.state = SequenceState::kRunning;
  sequence.group = group.shape.group;
  sequence.slot = group.free_slots.back();
  group.free_slots.pop_back();
  group.slots[sequence.slot] = &sequence;
  if (request.admitted_us == 0) request.admitted_us = turn.now_us;
  if (request.compatibility.empty()) request.compatibility = group.shape.compatibility;
  request.invariant &= group.shape.invariant && request.compatibility == group.shape.compatibility;

  std::vector<int32_t> members(group.shape.num_stages, 0);
  for (const Sequence* other : group.running) ++members[other->cohort];
  sequence.cohort =
      static_cast<int32_t>(std::min_element(members.begin(), members.end()) - members.begin());
  const auto place = std::find_if(group.running.begin(), group.running.end(), [&](auto* other) {
    return other->arrival > sequence.arrival;
  });
  group.running.insert(place, &sequence);

  sequence.parent = cache_space_of(request);
  if (request.may_use_cache() && options_.prefix_caching) {
    const std::vector<PageKey>& keys = keys_of(sequence, group.shape.page_tokens);
    sequence.pages = group.pool.take_cached(keys);
    if (!sequence.pages.empty()) sequence.parent = keys[sequence.pages.size() - 1];
  } else if (const int32_t shared = cached_tokens(group, sequence) / group.shape.page_tokens) {
    const Sequence& first = *request.sequences[0];
    sequence.pages.assign(first.pages.begin(), first.pages.begin() + shared);
    group.pool.share(sequence.pages);
  }
  sequence.keys = std::vector<PageKey>();
  reserve_rows(group, sequence);
  sequence.published = static_cast<int32_t>(sequence.pages.size());
  sequence.computed = sequence.published * group.shape.page_tokens;
  if (request.num_output(sequence) == 0) sequence.cached_tokens = sequence.computed;
  totals_.cached_tokens += sequence.computed;
  open_slot(sequence, part);
  for (const PageId page : sequence.pages) part.grants.push_back({sequence.slot, page});
}

// Reserves for the longest possible answer, so that later steps do not allocate.
void Engine::State::reserve_rows(const Group& group, Sequence& sequence) const {
  const int64_t longest = group.shape.longest();
  const int64_t wanted = sequence.request->num_prompt + sequence.request->submit.params.max_tokens;
  const auto tokens = static_cast<size_t>(std::min(longest, wanted) + 1);
  sequence.ids.reserve(tokens);
  sequence.pages.reserve(tokens / static_cast<size_t>(group.shape.page_tokens) + 1);
}

void Engine::State::open_slot(Sequence& sequence, StepPart& part) {
  const Request& request = *sequence.request;
  OpenedSlot opened;
  opened.slot = sequence.slot;
  opened.seed = request.seed;
  opened.choice = static_cast<uint32_t>(sequence.choice);
  opened.sampling = request.sampling;
  opened.computed = sequence.computed;
  opened.num_prompt = request.num_prompt;
  opened.num_emitted = request.num_output(sequence);
  if (request.sampling.needs_history()) {
    opened.history.assign(sequence.ids.begin(), sequence.ids.begin() + sequence.computed);
  }
  part.opened.push_back(std::move(opened));
  sequence.opened = true;
}

void Engine::State::grant_pages(Group& group, Sequence& sequence, int32_t tokens, StepPart& part) {
  const int32_t page_tokens = group.shape.page_tokens;
  const int32_t needed = (sequence.computed + tokens + page_tokens - 1) / page_tokens -
                         static_cast<int32_t>(sequence.pages.size());
  if (needed <= 0) return;
  for (const PageId page : group.pool.take(needed)) {
    sequence.pages.push_back(page);
    part.grants.push_back({sequence.slot, page});
  }
}

void Engine::State::plan_decode(Group& group,
                                Sequence& sequence,
                                StepPart& part,
                                PlanInFlight& plan) {
  grant_pages(group, sequence, 1, part);
  part.decodes.push_back(sequence.slot);
  ++sequence.computed;
  ++sequence.draws_in_flight;
  ++sequence.plans_in_flight;
  sequence.last_draw_step = plan.step;
  plan.named.push_back(&sequence);
  plan.drawing.push_back(&sequence);
}

void Engine::State::plan_chunk(
    Group& group, Sequence& sequence, int32_t tokens, StepPart& part, PlanInFlight& plan) {
  Request& request = *sequence.request;
  grant_pages(group, sequence, tokens, part);
  const int32_t begin = sequence.computed;
  const int32_t end = begin + tokens;
  Chunk chunk;
  chunk.slot = sequence.slot;
  chunk.start = begin;
  chunk.ids.assign(sequence.ids.begin() + begin, sequence.ids.begin() + end);
  const bool is_last = end == static_cast<int32_t>(sequence.ids.size());
  chunk.sample = is_last && request.generates();
  part.chunks.push_back(std::move(chunk));
  add_scores_and_probes(sequence, begin, end, part);
  sequence.computed = end;
  ++sequence.plans_in_flight;
  plan.named.push_back(&sequence);
  totals_.prompt_tokens += tokens;
  if (is_last && request.generates()) {
    ++sequence.draws_in_flight;
    sequence.last_draw_step = plan.step;
    plan.drawing.push_back(&sequence);
  }
  if (is_last && &sequence == request.source_of_values()) request.prompt_done = true;
  publish_full_pages(group, sequence);
}

void Engine::State::add_scores_and_probes(Sequence& sequence,
                                          int32_t begin,
                                          int32_t end,
                                          StepPart& part) {
  Request& request = *sequence.request;
  if (&sequence != request.source_of_values()) return;
  // A prompt that is computed again: what has arrived is not requested again.
  if (request.scores_prompt()) {
    const int32_t top = std::max(0, request.submit.params.num_prompt_logprobs);
    for (int32_t position = std::max(begin, request.scored);
         position < std::min(end, request.num_prompt - 1);
         ++position) {
      part.scores.push_back({sequence.slot, position, sequence.ids[position + 1], top});
    }
  }
  for (size_t i = 0; i < request.submit.probes.size(); ++i) {
    ProbeRequest probe = request.submit.probes[i];
    if (probe.position < begin || probe.position >= end) continue;
    if (request.probe_values[i] == kAllProbeValues) continue;
    probe.slot = sequence.slot;
    part.probes.push_back(probe);
    ++sequence.probes_in_flight;
  }
}

}  // namespace trireme
