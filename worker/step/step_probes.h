// Probes: logits and hidden states that a plan requests. They are copied from the device during the
// step, which waits for them, and the first rank of the stage passes them to the sink. Used by the
// step executor. Allocates where a plan has probes.
#pragma once

#include <span>

#include "base/status.h"
#include "model/step_plan.h"
#include "worker/control/result_sink.h"
#include "worker/forward/shard_model.h"
#include "worker/step/sampler.h"
#include "worker/step/step_inputs.h"

namespace trireme {

// The step that is probed.
struct ProbedStep {
  const StepPlan& plan;
  const StepInputs& inputs;
  Lane& lane;
  TimeUs deadline_us = 0;
};

class StepProbes {
 public:
  static StatusOr<StepProbes> make(Backend& backend, const ShardModel& model, int tensor_index);
  // Sets the receiver of probes, before the first plan.
  void begin(ResultSink& sink) { sink_ = &sink; }

  // TRI-STEP-022: a probe of what the step does not compute.
  Status check(const StepPart& part, const StepInputs& inputs) const;
  // Whether this rank passes hidden states to the sink.
  bool emits() const { return tensor_index_ == 0; }
  // Answers `request` with one row of any float type, in device memory. Waits for the device.
  Status take_row(const ProbedStep& step, const ProbeRequest& request, Tensor row);
  // Last stage, all its ranks: the probed logits, and hidden states after the final norm.
  Status take_logits(const ProbedStep& step, Tensor residual, Sampler& sampler, Progress& progress);

 private:
  StepProbes(Backend& backend, const ShardModel& model, int tensor_index)
      : backend_(&backend), model_(&model), tensor_index_(tensor_index) {}
  Status take_normed(const ProbedStep& step, const ProbeRequest& request, Tensor residual);
  void emit(const StepPlan& plan, const ProbeRequest& request, std::span<const float> values);

  Backend* backend_;
  const ShardModel* model_;
  int tensor_index_;
  ResultSink* sink_ = nullptr;
  Buffer memory_;  // device memory: a row of hidden values in fp32, then one row's number
};

// Answers a plan's probes of hidden states while the stage's layers run.
class ProbeTap final : public LayerTap {
 public:
  ProbeTap(StepProbes& probes, const ProbedStep& step) : probes_(probes), step_(step) {}

  bool wants(int64_t layer) const override;
  void take(int64_t layer, Tensor hidden) override;
  const Status& status() const { return status_; }

 private:
  StepProbes& probes_;
  const ProbedStep step_;
  Status status_;
};

}  // namespace trireme
