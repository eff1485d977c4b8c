// The sizes of an executor's memory that follow from its limits.
#pragma once

#include <cstdint>

#include "worker/step_executor.h"

namespace trireme {

// Plans in flight, and two for the host to be late.
int32_t steps_under_way(const ParallelPlan& cut);
LaneLimits lane_limits(const ShardModel& model, const StepLimits& limits);

}  // namespace trireme
