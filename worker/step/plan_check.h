// Checks of a plan as a whole, before and while a rank applies it; SlotTable checks its statements
// about single slots. An error means that coordinator and worker disagree about the protocol.
#pragma once

#include <cstdint>
#include <vector>

#include "base/status.h"
#include "model/step_plan.h"
#include "worker/step/sampler.h"
#include "worker/step/slot_table.h"
#include "worker/step/step_inputs.h"

namespace trireme {

// TRI-STEP-016: not the step after `last_step`. TRI-STEP-017: a feature that workers lack.
// TRI-STEP-018: waits for ids of a later step.
Status check_plan(const StepPlan& plan, int64_t last_step);

// With more than one stage, once slots are opened and closed. TRI-STEP-019: a slot decodes whose
// last id is drawn in a step that the plan does not wait for.
Status check_ids_are_awaited(const StepPlan& plan, const SlotTable& slots);

// Fills `rows` with the rows of the step that are scored. A score whose token id or number of
// alternatives a client got wrong fails its slot alone (TRI-STEP-021). TRI-STEP-020: a position
// that the step does not compute.
Status find_score_rows(const StepPart& part,
                       const StepInputs& inputs,
                       SlotTable& slots,
                       std::vector<ScoreRow>& rows);

}  // namespace trireme
