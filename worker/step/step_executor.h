// Runs plans, one after another, on this rank: slots, pages, the stage's layers, and on the last
// stage the draws. The same code on every rank; what differs is what the rank holds.
// Order: closed, opened, grants, copies, tokens (docs/formats.md). Stage 0 waits for drawn ids as
// the plan says. A step is enqueued and answered when the device has posted its results: on the CPU
// that is before execute() returns, elsewhere poll() finds it. After warm-up a step without
// logprobs, scores and probes allocates nothing.
// Used by the step loop's thread. An error means that this rank must leave its group.
#pragma once

#include <memory>
#include <span>

#include "base/status.h"
#include "base/trace.h"
#include "model/parallel_plan.h"
#include "worker/comm/group_comms.h"
#include "worker/control/progress.h"
#include "worker/control/result_sink.h"
#include "worker/forward/kv_cache.h"
#include "worker/forward/shard_model.h"
#include "worker/step/captured_steps.h"
#include "worker/step/pipeline_link.h"
#include "worker/step/sampler.h"
#include "worker/step/step_deadline.h"
#include "worker/step/step_inputs.h"
#include "worker/step/step_limits.h"
#include "worker/step/step_probes.h"
#include "worker/step/step_results.h"

namespace trireme {

class StepExecutor {
 public:
  // Takes all of its memory. The cache's pages may still lack theirs. All references outlive this.
  static StatusOr<std::unique_ptr<StepExecutor>> make(Backend& backend,
                                                      const ShardModel& model,
                                                      const ParallelPlan& cut,
                                                      const KvCache& cache,
                                                      const StepLimits& limits,
                                                      GroupComms& comms,
                                                      Progress& progress);

  // Finds the fastest ways of this rank's matmuls.
  void tune() { model_.tune(*lane_, limits_.max_batched_tokens, progress_); }
  // Records the steps of limits.recorded, by running each with nothing but padding, which touches
  // no page; runs the largest step as well. Collective over the group, before begin().
  Status warm_up();
  // Before the first plan: the pages and the length of a sequence that the group agreed on, at most
  // the cache's and limits.max_model_len. `sink` outlives this.
  void begin(int64_t num_pages, int32_t max_model_len, ResultSink& sink);

  // TRI-STEP-...: the plan breaks the protocol. TRI-GRP-...: a peer is lost.
  Status execute(const StepPlan& plan);
  // Answers what the device has finished, and lets messages under way progress. TRI-STEP-024: the
  // device is late.
  Status poll();
  // Waits until every step is answered.
  Status drain();
  // Waits until all that was sent has left; the end of a run.
  Status finish();

  Queue& queue() { return *lane_->queue; }

 private:
  StepExecutor(Backend& backend,
               const ShardModel& model,
               const ParallelPlan& cut,
               const KvCache& cache,
               const StepLimits& limits,
               GroupComms& comms,
               Progress& progress);
  // What the ops of one step share.
  struct StepFrame {
    const StepPlan& plan;
    PendingStep& pending;
    StepKey key;
    Tensor residual;
    Status status;
  };

  Status allocate();
  Status update_slots(const StepPlan& plan);
  Status copy_pages(const StepPart& part);
  Status run_padding(const StepKey& key);
  Status run_tokens(const StepPlan& plan, PendingStep& pending, const StepKey& key);
  StepKey step_key(const StepPlan& plan, const PendingStep& pending) const;
  void enqueue_step(StepFrame& frame);
  void note_draws(PendingStep& pending) const;
  Status draw(const StepFrame& frame);
  Status answer_oldest();
  const int32_t* put(std::span<const int32_t> values);
  // Ends the span that began at `begin_us` and returns its end.
  TimeUs mark(const char* name, TimeUs begin_us);
  bool is_first() const { return comms_.stage == 0; }
  bool is_last() const { return comms_.stage == cut_.pp() - 1; }
  bool answers() const { return comms_.rank == cut_.answering_rank(); }

  Backend& backend_;
  const ShardModel& model_;
  const ParallelPlan& cut_;
  const KvCache& cache_;
  const StepLimits limits_;
  GroupComms& comms_;
  Progress& progress_;
  ResultSink* sink_ = nullptr;  // from begin() on
  SteadyClock clock_;
  StepDeadline deadline_;

  SlotTable slots_;
  std::unique_ptr<SlotState> memory_;
  std::unique_ptr<StepInputs> inputs_;
  std::unique_ptr<Lane> lane_;
  std::unique_ptr<ResidualRing> residuals_;
  std::unique_ptr<TokenReturn> token_return_;
  std::unique_ptr<Sampler> sampler_;  // last stage

  std::unique_ptr<StepResults> answers_;
  std::unique_ptr<StepProbes> probes_;
  Tensor recorded_residual_;  // where recorded steps have theirs, with more than one stage
  Buffer small_;              // device memory: a short list of ids

  int64_t last_step_ = 0;
  TimeUs waited_us_ = 0;
  std::vector<ScoreRow> score_rows_;
  std::vector<int32_t> copy_list_;
};

}  // namespace trireme
