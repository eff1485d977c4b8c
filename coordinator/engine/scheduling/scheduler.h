// Continuous batching with chunked prefill: decides which tokens run in the next step of a group,
// which sequences are admitted and which are preempted. A pure function of counts: no I/O, clock or
// page ids; the same counts give the same decision.
//
// Order within the token budget: decodes of one cohort, prompt chunks, newcomers (FCFS). A running
// sequence that lacks a page skips the step, and later arrivals are preempted until enough pages
// will return; meanwhile no newcomer is admitted. So the earliest arrival always makes progress.
// The Engine offers only candidates (Engine::State::count_waiting) and preempts streams that nobody
// reads itself (preempt_unread).
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace trireme {

// A sequence that has a slot in the group.
struct RunningCounts {
  uint64_t arrival = 0;  // ascending in order of arrival
  int32_t cohort = 0;
  int32_t computed = 0;  // tokens whose KV is computed or planned
  int32_t left = 0;      // known tokens beyond those; 1 for a decode
  int32_t pages_held = 0;
  bool decodes = false;  // its next token is the one of its last draw
  bool paused = false;   // not to be planned now: no credit, or all draws are planned
  bool leaving = false;  // finished or preempted: its pages return with the plans in flight
};

// A waiting sequence, in the order of the queue.
struct WaitingCounts {
  int32_t tokens = 0;  // known tokens to compute: without the cached ones
  int32_t cached = 0;  // tokens found in the cache
  int32_t draws = 1;   // 0: nothing will be appended (score, probe)
};

struct SchedulerInput {
  std::span<const RunningCounts> running;
  std::span<const WaitingCounts> waiting;
  int32_t cohort = 0;
  int32_t page_tokens = 0;
  int32_t free_pages = 0;
  int32_t max_batched_tokens = 0;
  int32_t free_slots = 0;
};

struct Slice {
  int32_t index = 0;  // into `running`; into `waiting` for admitted ones
  int32_t tokens = 0;
};

struct SchedulerDecision {
  std::vector<Slice> decodes;
  std::vector<Slice> chunks;
  std::vector<Slice> admitted;  // from `waiting`, in order, with their first chunk
  std::vector<int32_t> preempted;

  bool empty() const {
    return decodes.empty() && chunks.empty() && admitted.empty() && preempted.empty();
  }
  void clear() {
    decodes.clear();
    chunks.clear();
    admitted.clear();
    preempted.clear();
  }
};

// Replaces `decision`; its memory is reused from step to step.
void schedule(const SchedulerInput& input, SchedulerDecision& decision);

}  // namespace trireme
