// How much memory the executor of steps takes, and the sizes that follow from its limits.
#pragma once

#include <cstdint>

#include "base/status.h"
#include "worker/step_executor.h"

namespace trireme {

// Plans in flight, and two for the host to be late.
int32_t steps_under_way(const ParallelPlan& cut);
LaneLimits lane_limits(const ShardModel& model, const StepLimits& limits);

// The device memory that an executor of these limits takes, found by taking the most of it and
// giving it back.
StatusOr<int64_t> step_memory_bytes(Backend& backend,
                                    const ShardModel& model,
                                    const ParallelPlan& cut,
                                    const StepLimits& limits,
                                    const GroupComms& comms);

}  // namespace trireme
