// The rank's main loop: executes plans in order as they come. Runs on the thread that made the
// executor.
#pragma once

#include <cstdint>

#include "base/status.h"
#include "worker/control/plan_source.h"
#include "worker/step/step_executor.h"

namespace trireme {

enum class StepsEnd : uint8_t { kDone, kNewLife };

// Runs until the source ends or a new life of the group begins; an error means that this rank must
// leave its group.
StatusOr<StepsEnd> run_steps(PlanSource& source, StepExecutor& executor);

}  // namespace trireme
