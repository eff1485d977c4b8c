// Executes plans in order on this rank: slots, pages, the layers of the stage and, on the last
// stage, the draws. All ranks run the same code on their parts. A plan is applied in the order
// closed, opened, grants, copies, tokens; stage 0 first waits for the drawn ids that the plan
// names. A step is enqueued, and answered once the device has posted its results: on the CPU before
// execute() returns, on a GPU when poll() finds it. Used by the step loop's thread. Invariant:
// after warm-up a step without logprobs, scores and probes allocates nothing. An error means that
// this rank must leave its group.
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

// The last step that had tokens.
struct LastStep {
  int32_t num_tokens = 0;  // rows of its matmuls, padding included
  int32_t num_rows = 0;    // rows of logits, padding included
  bool is_replayed = false;
  TimeUs host_us = 0;  // of execute(), less its waits
};

class StepExecutor {
 public:
  // Allocates everything it needs; the cache's pages may get their memory later. All references
  // outlive the executor.
  static StatusOr<std::unique_ptr<StepExecutor>> make(Backend& backend,
                                                      const ShardModel& model,
                                                      const ParallelPlan& partition,
                                                      const KvCache& cache,
                                                      const StepLimits& limits,
                                                      GroupComms& comms,
                                                      Progress& progress);

  // Measures the algorithms of this rank's matmuls and keeps the fastest.
  void tune() { model_.tune(*lane_, limits_.max_batched_tokens, progress_); }
  // Runs each step of limits.captured, and the largest, with padding only, which touches no page;
  // captures them; and replays each once. No rank captures while another runs a step. Collective
  // over the group, before begin().
  Status warm_up();
  // Before the first plan: sets the group's number of pages and maximum sequence length, at most
  // the cache's and limits.max_model_len. `sink` outlives the executor.
  void begin(int64_t num_pages, int32_t max_model_len, ResultSink& sink);
  // Before begin() of another life, once every rank has completed the same steps: forgets slots and
  // draws; buffers and captured steps stay. Allocates nothing.
  Status reset();

  // TRI-STEP-...: the plan breaks the protocol. TRI-GRP-..., TRI-CUDA-...: a peer is lost.
  Status execute(const StepPlan& plan);
  // Answers finished steps and makes progress on messages in flight. TRI-STEP-024: the device is
  // late.
  Status poll();
  // Waits until every step is answered.
  Status drain();
  // Drains, and waits until all messages have left; the end of a run.
  Status finish();

  Queue& queue() { return *lane_->queue; }
  const LastStep& last_step() const { return last_; }
  // How the matmuls of a step of that size are computed on this rank.
  std::vector<MatmulUse> matmuls(const LastStep& step) const {
    return model_.matmuls(*lane_, step.num_tokens, step.num_rows);
  }

 private:
  StepExecutor(Backend& backend,
               const ShardModel& model,
               const ParallelPlan& partition,
               const KvCache& cache,
               const StepLimits& limits,
               GroupComms& comms,
               Progress& progress);
  // Shared state of the ops of one step.
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
  Status meet();
  Status capture(const StepKey& key);
  Status run_padding(const StepKey& key);
  Status run_tokens(const StepPlan& plan, PendingStep& pending, const StepKey& key);
  StepKey step_key(const StepPlan& plan, const PendingStep& pending) const;
  bool draws_together() const;
  void enqueue_step(StepFrame& frame);
  void note_draws(PendingStep& pending) const;
  Status draw(const StepFrame& frame);
  Status answer_oldest();
  const int32_t* put(std::span<const int32_t> values);
  // Ends the span that began at `begin_us` and returns its end.
  TimeUs mark(const char* name, TimeUs begin_us);
  bool is_first() const { return comms_.stage == 0; }
  bool is_last() const { return comms_.stage == partition_.pp() - 1; }
  bool answers() const { return comms_.rank == partition_.answering_rank(); }

  Backend& backend_;
  const ShardModel& model_;
  const ParallelPlan& partition_;
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
  Tensor captured_residual_;  // residual of captured steps, with more than one stage
  Buffer small_;              // device memory for a short list of ids

  int64_t last_step_ = 0;
  LastStep last_;
  TimeUs waited_us_ = 0;
  std::vector<ScoreRow> score_rows_;
  std::vector<int32_t> copy_list_;
};

}  // namespace trireme
