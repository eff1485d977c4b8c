#include "worker/step/step_limits.h"

#include "base/step_memory.h"

namespace trireme {

int32_t steps_under_way(const ParallelPlan& partition) {
  return max_steps_in_flight(partition.pp());
}

LaneLimits lane_limits(const ShardModel& model, const StepLimits& limits) {
  return {.max_batched_tokens = limits.max_batched_tokens,
          .max_segments = limits.max_slots,
          .max_head_rows = head_rows(limits.max_slots),
          .num_attention_plans = model.num_attention_classes()};
}

}  // namespace trireme
