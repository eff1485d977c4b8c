// Where a rank's plans come from: the coordinator, a file, or a spec that every rank expands alike.
#pragma once

#include <cstdint>

#include "base/status.h"
#include "model/step_plan.h"

namespace trireme {

class PlanSource {
 public:
  enum class Next : uint8_t { kPlan, kNothingYet, kEnd };

  virtual ~PlanSource() = default;
  // Fills `plan` if there is one. Never waits.
  virtual StatusOr<Next> next(StepPlan& plan) = 0;
};

}  // namespace trireme
