#include "coordinator/engine/scheduling/scheduler.h"

#include <algorithm>

namespace trireme {

namespace {

class Round {
 public:
  Round(const SchedulerInput& input, SchedulerDecision& decision)
      : input_(input),
        decision_(decision),
        free_pages_(input.free_pages),
        budget_(input.max_batched_tokens) {
    for (const RunningCounts& sequence : input.running) {
      if (sequence.leaving) returning_pages_ += sequence.pages_held;
    }
  }

  void plan() {
    for (size_t i = 0; i < input_.running.size(); ++i) {
      const RunningCounts& sequence = input_.running[i];
      if (sequence.decodes && sequence.cohort == input_.cohort)
        plan_decode(static_cast<int32_t>(i));
    }
    for (size_t i = 0; i < input_.running.size(); ++i) {
      if (!input_.running[i].decodes) plan_chunk(static_cast<int32_t>(i));
    }
    if (returning_pages_ == 0 && decision_.preempted.empty()) admit();
  }

 private:
  int32_t pages_for(int32_t tokens) const {
    return (tokens + input_.page_tokens - 1) / input_.page_tokens;
  }

  bool may_run(int32_t index) const {
    const RunningCounts& sequence = input_.running[index];
    return !sequence.paused && !sequence.leaving && budget_ > 0 && !is_preempted(index);
  }

  bool is_preempted(int32_t index) const {
    return std::find(decision_.preempted.begin(), decision_.preempted.end(), index) !=
           decision_.preempted.end();
  }

  bool is_planned(int32_t index) const {
    const auto is_it = [&](const Slice& slice) { return slice.index == index; };
    return std::any_of(decision_.decodes.begin(), decision_.decodes.end(), is_it) ||
           std::any_of(decision_.chunks.begin(), decision_.chunks.end(), is_it);
  }

  void plan_decode(int32_t index) {
    if (!may_run(index)) return;
    const RunningCounts& sequence = input_.running[index];
    const int32_t needed = pages_for(sequence.computed + 1) - sequence.pages_held;
    if (needed > free_pages_) return make_room(index, needed);
    free_pages_ -= std::max(0, needed);
    --budget_;
    decision_.decodes.push_back({index, 1});
  }

  void plan_chunk(int32_t index) {
    if (!may_run(index)) return;
    const RunningCounts& sequence = input_.running[index];
    if (sequence.left == 0) return;
    const int32_t room =
        (sequence.pages_held + free_pages_) * input_.page_tokens - sequence.computed;
    const int32_t tokens = std::min({sequence.left, budget_, room});
    if (tokens <= 0) return make_room(index, 1);
    free_pages_ -= std::max(0, pages_for(sequence.computed + tokens) - sequence.pages_held);
    budget_ -= tokens;
    decision_.chunks.push_back({index, tokens});
  }

  // Preempts the latest arrivals until enough pages will return; never one that arrived before the
  // sequence in need.
  void make_room(int32_t index, int32_t needed) {
    while (free_pages_ + returning_pages_ < needed) {
      const int32_t victim = latest_after(input_.running[index].arrival);
      if (victim < 0) return;
      decision_.preempted.push_back(victim);
      returning_pages_ += input_.running[victim].pages_held;
    }
  }

  int32_t latest_after(uint64_t arrival) const {
    int32_t latest = -1;
    for (size_t i = 0; i < input_.running.size(); ++i) {
      const auto candidate = static_cast<int32_t>(i);
      const RunningCounts& sequence = input_.running[i];
      if (sequence.leaving || sequence.pages_held == 0 || sequence.arrival <= arrival ||
          is_preempted(candidate) || is_planned(candidate)) {
        continue;
      }
      if (latest < 0 || sequence.arrival > input_.running[latest].arrival) latest = candidate;
    }
    return latest;
  }

  // A newcomer needs pages for all its known tokens and one more, or it would be preempted at once.
  // FCFS: nothing behind a request that does not fit is admitted.
  void admit() {
    int32_t free_slots = input_.free_slots;
    for (size_t i = 0; i < input_.waiting.size() && free_slots > 0 && budget_ > 0; ++i) {
      const WaitingCounts& sequence = input_.waiting[i];
      const int32_t needed = pages_for(sequence.cached + sequence.tokens + sequence.draws);
      if (needed > free_pages_) return;
      const int32_t tokens = std::min(sequence.tokens, budget_);
      free_pages_ -= needed;
      budget_ -= tokens;
      --free_slots;
      decision_.admitted.push_back({static_cast<int32_t>(i), tokens});
    }
  }

  const SchedulerInput& input_;
  SchedulerDecision& decision_;
  int32_t free_pages_;
  int32_t returning_pages_ = 0;
  int32_t budget_;
};

}  // namespace

void schedule(const SchedulerInput& input, SchedulerDecision& decision) {
  decision.clear();
  Round(input, decision).plan();
}

}  // namespace trireme
