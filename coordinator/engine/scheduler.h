// Decides which tokens run in the next step of a group, who joins it and who must leave.
// A pure function of counts: no I/O, no clock, no page ids; the same counts give the same decision.
//
// Decodes of one cohort first, then prompt chunks, then newcomers, within a budget of tokens. A
// sequence without a page sits the step out; to make room the sequence that arrived last is
// preempted, so the one that arrived first always gets on.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace trireme {

// A sequence that has a slot in the group.
struct RunningCounts {
  uint64_t arrival = 0;  // lower: came earlier
  int32_t cohort = 0;
  int32_t computed = 0;  // tokens whose KV is there or planned
  int32_t left = 0;      // known tokens beyond those; of a decode: 1
  int32_t pages_held = 0;
  bool decodes = false;  // `left` is the one token that its last draw gives
  bool paused = false;   // may not be planned now (no credit, all draws planned)
  bool leaving = false;  // finished or preempted: its pages come back by themselves
};

// The next ones of the waiting queue, in order.
struct WaitingCounts {
  int32_t tokens = 0;  // known tokens to compute, those found in the cache not counted
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
  int32_t index = 0;  // in running; for admitted ones in waiting
  int32_t tokens = 0;
};

struct SchedulerDecision {
  std::vector<Slice> decodes;
  std::vector<Slice> chunks;
  std::vector<Slice> admitted;  // the first ones of waiting, with their first chunk
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

// Fills `decision`, whose memory is reused from step to step.
void schedule(const SchedulerInput& input, SchedulerDecision& decision);

}  // namespace trireme
