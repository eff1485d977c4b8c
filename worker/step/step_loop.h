// The rank's main loop: takes plans as they come and executes them, in order.
#pragma once

#include "base/status.h"
#include "worker/control/plan_source.h"
#include "worker/step/step_executor.h"

namespace trireme {

// Runs until the source ends or something fails: then this rank must leave its group.
Status run_steps(PlanSource& source, StepExecutor& executor);

}  // namespace trireme
