// The rank's main loop: executes plans in order as they come. Runs on the thread that made the
// executor.
#pragma once

#include "base/status.h"
#include "worker/control/plan_source.h"
#include "worker/step/step_executor.h"

namespace trireme {

// Runs until the source ends; an error means that this rank must leave its group.
Status run_steps(PlanSource& source, StepExecutor& executor);

}  // namespace trireme
