// A step's rows as the kernels read them: fixed buffers of maximal size on the device, filled from
// one StepPart after another. Advances the slots as it goes; the order of rows is decodes, then
// chunks. Allocates at construction only. Used by the step loop.
#pragma once

#include <span>
#include <vector>

#include "base/status.h"
#include "kernels/backend.h"
#include "model/step_plan.h"
#include "worker/slot_table.h"

namespace trireme {

// A row of the step whose next token is drawn.
struct DrawRow {
  SlotId slot = 0;
  uint32_t generation = 0;
  int32_t row = 0;
};

class StepInputs {
 public:
  static StatusOr<StepInputs> make(Backend& backend, int32_t max_tokens, const SlotTable& slots);

  // Rows of `part` for the kernels; slots stand after it where the step leaves them.
  // TRI-STEP-008: too many tokens, or a slot twice. Others from the SlotTable.
  Status fill(Queue& queue, const StepPart& part, int64_t step, SlotTable& slots);

  const BatchView& batch() const { return batch_; }
  std::span<const DrawRow> draws() const { return draws_; }
  // The row that computes `position` of `slot` in this step, or -1.
  int32_t row_of(SlotId slot, int32_t position) const;

 private:
  StepInputs(Backend& backend, int32_t max_tokens, int32_t max_slots)
      : backend_(&backend), max_tokens_(max_tokens), segments_(max_slots) {}

  Status add_segment(SlotId slot, int32_t start, int32_t count, int64_t step);
  void upload(Queue& queue, SlotTable& slots);

  struct Segment {  // of a slot, in the step of that number
    int64_t step = 0;
    int32_t row = 0;
    int32_t start = 0;
    int32_t count = 0;
  };

  Backend* backend_;
  int32_t max_tokens_;
  Buffer device_;  // token_ids, positions, slots, segment_starts
  Buffer device_page_table_;
  std::vector<int32_t> token_ids_;
  std::vector<int32_t> positions_;
  std::vector<int32_t> slot_ids_;
  std::vector<int32_t> segment_starts_;
  std::vector<DrawRow> draws_;
  std::vector<Segment> segments_;  // by slot
  int64_t step_ = 0;
  BatchView batch_;
};

}  // namespace trireme
