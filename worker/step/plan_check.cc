#include "worker/step/plan_check.h"

#include "base/text.h"

namespace trireme {

Status check_plan(const StepPlan& plan, int64_t last_step) {
  if (plan.step != last_step + 1) {
    return invalid("TRI-STEP-016",
                   "the plan of step {} came after step {}; steps come one by one",
                   plan.step,
                   last_step);
  }
  if (plan.parts.size() != 1 || plan.late || !plan.parts[0].verifies.empty()) {
    return invalid("TRI-STEP-017",
                   "the plan of step {} has {} parts{}; this worker runs one part, without late "
                   "masks and speculation: coordinator and workers must be of one version",
                   plan.step,
                   plan.parts.size(),
                   plan.late ? ", is late" : "");
  }
  if (plan.wait_ids_through < 0 || plan.wait_ids_through >= plan.step) {
    return invalid(
        "TRI-STEP-018",
        "the plan of step {} waits for the ids of step {}; it can wait for earlier steps only",
        plan.step,
        plan.wait_ids_through);
  }
  return ok_status();
}

Status check_ids_are_awaited(const StepPlan& plan, const SlotTable& slots) {
  for (const SlotId slot : plan.parts[0].decodes) {
    if (!slots.is_open(slot)) continue;
    if (slots[slot].ids_step <= plan.wait_ids_through) continue;
    return invalid("TRI-STEP-019",
                   "the plan of step {} decodes slot {}, whose id is drawn in step {}, but waits "
                   "only for step {}",
                   plan.step,
                   slot,
                   slots[slot].ids_step,
                   plan.wait_ids_through);
  }
  return ok_status();
}

Status find_score_rows(const StepPart& part,
                       const StepInputs& inputs,
                       SlotTable& slots,
                       std::vector<ScoreRow>& rows) {
  const TokenId vocabulary = slots.limits().vocabulary;
  rows.clear();
  for (const ScoreRequest& score : part.scores) {
    const int32_t row = inputs.row_of(score.slot, score.position);
    if (row < 0) {
      return invalid(
          "TRI-STEP-020",
          "the plan asks for a score at position {} of slot {}, which the step does not compute",
          score.position,
          score.slot);
    }
    if (score.next_id < 0 || score.next_id >= vocabulary || score.num_top < 0 ||
        score.num_top > kMaxLogprobs) {
      slots.fail(score.slot,
                 format_text("TRI-STEP-021: a score of token id {} with the top {}; ids are 0 to "
                             "{}, the top 0 to {}",
                             score.next_id,
                             score.num_top,
                             vocabulary - 1,
                             kMaxLogprobs));
      continue;
    }
    rows.push_back({row, score});
  }
  return ok_status();
}

}  // namespace trireme
