// What a rank takes of a GPU's memory besides weights and pages, from the config alone: the same
// arithmetic as the worker's allocations, which a test compares with it over the emulation.
#pragma once

#include "model/planner.h"
#include "model/shard_spec.h"

namespace trireme {

// Sets communicator_bytes, activation_bytes, workspace_bytes, module_bytes and reserve_bytes.
void plan_device(const ModelConfig& config,
                 const ShardSpec& shard,
                 const PlanRequest& request,
                 RankPlan& rank);

}  // namespace trireme
