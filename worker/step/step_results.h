// The steps in flight, and their results. The device posts each step's draws into a ring in shared
// memory and writes the count of posted steps last; the host answers steps in order. Used by the
// step loop. Allocates at construction, and for logprobs, scores and failures.
#pragma once

#include <span>
#include <vector>

#include "base/clock.h"
#include "base/status.h"
#include "kernels/backend.h"
#include "model/step_plan.h"
#include "worker/control/result_sink.h"
#include "worker/step/sampler.h"
#include "worker/step/slot_table.h"

namespace trireme {

// A step in flight, with what its answer needs.
struct PendingStep {
  Epochs epochs;
  int64_t step = 0;
  uint64_t posted = 0;  // done when this many steps have been posted
  int32_t num_by_shard = 0;
  TimeUs start_us = 0;
  TimeUs waited_us = 0;
  TimeUs deadline_us = 0;
  std::vector<DrawnRow> rows;  // by shard, then whole
  std::vector<LogprobEntry> scores;
  std::vector<SlotFailure> failures;  // known before the draw

  std::span<const DrawnRow> whole() const { return std::span(rows).subspan(num_by_shard); }
};

class StepResults {
 public:
  // `sampler`: null on stages that do not draw. `step`: the device's counter of steps with tokens
  // (StepInputs::step_counter()). At most `depth` steps are in flight.
  static StatusOr<StepResults> make(
      Backend& backend, const Sampler* sampler, int32_t max_slots, int32_t depth, uint64_t* step);

  bool is_full() const { return count_ == pending_.size(); }
  bool is_empty() const { return count_ == 0; }
  const PendingStep& oldest() const { return pending_[oldest_]; }
  bool oldest_is_done() const;

  // Begins a step; requires !is_full().
  PendingStep& begin(const StepPlan& plan, TimeUs start_us, TimeUs deadline_us);
  // Enqueues the post of a step, with its draws if it has any. Every step with tokens is posted, on
  // every rank. Can be captured in a graph.
  void post(Queue& queue, const PendingStep& pending, bool has_draws);
  // The step's post has been enqueued or replayed.
  void note_posted(PendingStep& pending) { pending.posted = ++num_posted_; }
  // Ends the oldest step; requires oldest_is_done(). Failed draws fail their slots; `sink`, if not
  // null, gets the result.
  void answer(SlotTable& slots, ResultSink* sink, TimeUs now_us);

 private:
  StepResults(Backend& backend, const Sampler* sampler) : backend_(&backend), sampler_(sampler) {}
  std::byte* entry(uint64_t posted) const;
  void take_draws(const PendingStep& pending, SlotTable& slots);

  Backend* backend_;
  const Sampler* sampler_;
  Buffer memory_;  // shared
  StepRing ring_;
  uint64_t num_posted_ = 0;
  std::vector<PendingStep> pending_;  // a ring
  size_t oldest_ = 0;
  size_t count_ = 0;
  StepResult result_;
};

}  // namespace trireme
