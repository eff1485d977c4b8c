// Prediction of the GPU memory of a rank besides weights and pages, from the config alone. Same
// arithmetic as the allocations of the worker (base/step_memory.h, base/cuda_memory.h); a test
// compares both on the emulated backend. Pure function.
#pragma once

#include "model/planner.h"
#include "model/shard_spec.h"

namespace trireme {

// Sets communicator_bytes, activation_bytes, workspace_bytes, module_bytes and reserve_bytes of
// `rank`.
void plan_device(const ModelConfig& config,
                 const ShardSpec& shard,
                 const PlanRequest& request,
                 RankPlan& rank);

}  // namespace trireme
