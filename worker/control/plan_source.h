// The source of a rank's plans: the coordinator or a file. Called by the step loop.
#pragma once

#include <cstdint>

#include "base/status.h"
#include "model/step_plan.h"

namespace trireme {

class PlanSource {
 public:
  // kNewLife: the plans so far are all that there will be of this life, and another one begins.
  enum class Next : uint8_t { kPlan, kNothingYet, kNewLife, kEnd };

  virtual ~PlanSource() = default;
  // Fills `plan` if one has come. Never waits.
  virtual StatusOr<Next> next(StepPlan& plan) = 0;
};

}  // namespace trireme
