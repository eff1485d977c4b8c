// The limits of a rank's steps, and the sizes of memory that follow from them. Const after make().
#pragma once

#include <cstdint>

#include "base/clock.h"
#include "base/trace.h"
#include "model/parallel_plan.h"
#include "worker/forward/lane.h"
#include "worker/forward/shard_model.h"
#include "worker/step/captured_steps.h"

namespace trireme {

// Of --step-timeout. More than the 60 s that ranks wait for their coordinator's successor: until it
// comes, ranks may wait in a step whose plan others lack.
constexpr TimeUs kStepTimeoutUs = 90'000'000;

struct StepLimits {
  int32_t max_slots = 0;
  int32_t max_batched_tokens = 0;  // rows of one step
  int32_t max_model_len = 0;
  int64_t vocabulary_limit = 0;  // ids at or above it are never drawn
  TimeUs step_timeout_us = kStepTimeoutUs;
  Trace* trace = nullptr;      // spans of each step, if wanted
  CapturedSteps captured;      // empty where the backend captures no steps
  bool shares_device = false;  // with other ranks of the group: records are copied on the lane
  // Rows with top-k, top-p or min-p run in captured steps: the tensor communicators of all stages
  // gather rows.
  bool captures_whole_rows = false;
};

// Maximum number of steps in flight on a rank.
int32_t steps_under_way(const ParallelPlan& partition);
LaneLimits lane_limits(const ShardModel& model, const StepLimits& limits);

}  // namespace trireme
