#include "worker/step_memory.h"

#include <optional>
#include <utility>

#include "worker/sampler.h"
#include "worker/slot_memory.h"

namespace trireme {

int32_t steps_under_way(const ParallelPlan& cut) { return cut.pp() + 3; }

LaneLimits lane_limits(const ShardModel& model, const StepLimits& limits) {
  return {.max_tokens = limits.max_tokens,
          .max_segments = limits.max_slots,
          .max_head_rows = Sampler::kHeadRows,
          .num_attention_plans = model.num_attention_classes()};
}

StatusOr<int64_t> step_memory_bytes(Backend& backend,
                                    const ShardModel& model,
                                    const ParallelPlan& cut,
                                    const StepLimits& limits,
                                    const GroupComms& comms) {
  const int64_t before = backend.available_bytes();
  const bool draws = comms.stage == cut.pp() - 1;
  ASSIGN_OR_RETURN(const SlotMemory memory,
                   SlotMemory::make(backend, limits.max_slots, limits.max_model_len, draws));
  ASSIGN_OR_RETURN(
      const Lane lane,
      Lane::make(
          backend, model.config(), model.shard(), *comms.tensor, lane_limits(model, limits)));
  std::optional<Sampler> sampler;
  if (draws) {
    ASSIGN_OR_RETURN(
        Sampler made,
        Sampler::make(backend, model, *comms.tensor, limits.max_slots, limits.drawable));
    sampler.emplace(std::move(made));
  }
  const int64_t taken = before - backend.available_bytes();
  const int64_t residual =
      limits.max_tokens * model.config().hidden_size * size_of(backend.types().residual);
  const int64_t record = int64_t{32} * limits.max_tokens + int64_t{256} * limits.max_slots;
  const int64_t page_table = int64_t{limits.max_slots} * limits.max_model_len / 8;
  return taken + (cut.pp() + 2) * residual + (steps_under_way(cut) + 1) * record + page_table;
}

}  // namespace trireme
