// A step's rows as the kernels read them. Each step is written into a record of a ring in shared
// memory, copied to the device on a queue of its own while earlier steps run, and brought to its
// turn by an op, so that the ops always read the same addresses. Advances the slots as it goes; the
// order of rows is decodes, then chunks; that of sampled rows is those drawn by shard, then those
// drawn from the whole row. Allocates at construction only. Used by the step loop.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "base/status.h"
#include "kernels/backend.h"
#include "model/step_plan.h"
#include "worker/step/slot_table.h"
#include "worker/step/step_arrays.h"

namespace trireme {

// A row of the step whose next token is drawn.
struct DrawRow {
  SlotId slot = 0;
  uint32_t generation = 0;
  int32_t row = 0;
};

class StepInputs {
 public:
  // `depth`: how many steps may be under way.
  static StatusOr<StepInputs> make(Backend& backend,
                                   int32_t max_batched_tokens,
                                   const SlotTable& slots,
                                   int32_t depth);

  // Writes `part` into the next record; slots stand after it where the step leaves them. The record
  // of `depth` steps with tokens before is no longer in use. What changed in the page table waits
  // for a step with tokens.
  // TRI-STEP-008: too many tokens, or a slot twice. Others from the SlotTable.
  Status fill(
      Queue& queue, const StepPart& part, int64_t step, SlotTable& slots, const SlotState& memory);
  // Pads the step that was filled, to `num_tokens` rows and `num_rows` sampled ones.
  void pad(int32_t num_tokens, int32_t num_rows, bool is_mixed);
  // Copies the record to the device, ahead of what `queue` gets from now on.
  void send(Queue& queue);
  // Enqueues what brings the record to its turn: the ops after it read this step.
  void take(Queue& queue);

  const BatchView& batch() const { return batch_; }
  const StepArrays& device() const { return device_record_; }
  int32_t* token_ids() { return device_record_.token_ids.data(); }
  // The counter by which ops find a step's entries.
  uint64_t* step_counter() const { return ring_.step; }

  // Rows to draw: the first num_by_shard() by shard. Padding is not among them.
  std::span<const DrawRow> draws() const { return draws_; }
  int32_t num_by_shard() const { return num_by_shard_; }
  bool is_mixed() const { return is_mixed_; }
  bool keeps_history() const { return keeps_history_; }  // some row's id goes to a history
  // The row that computes `position` of `slot` in this step, or -1.
  int32_t row_of(SlotId slot, int32_t position) const;

 private:
  StepInputs(Backend& backend, int32_t max_batched_tokens, int32_t max_slots);

  Status add_rows(const StepPart& part, SlotTable& slots);
  Status add_segment(SlotId slot, int32_t start, int32_t count);
  void add_draw(SlotId slot, const SlotTable& slots);
  void write_draws(const SlotTable& slots, const SlotState& memory);
  void write_changes(Queue& queue, SlotTable& slots);
  void clear();

  struct Segment {  // of a slot, in the step of that number
    int64_t step = 0;
    int32_t row = 0;
    int32_t start = 0;
    int32_t count = 0;
  };

  Backend* backend_;
  StepArrayLimits limits_;
  int64_t record_bytes_ = 0;
  std::unique_ptr<Queue> copies_;
  Buffer host_ring_;  // shared memory
  Buffer device_;     // the ring, then the record in turn, then the step counter
  Buffer page_table_;
  StepRing ring_;
  StepArrays record_;  // the host's, under the pen
  StepArrays device_record_;
  BatchView batch_;

  int64_t step_ = 0;
  int64_t entry_ = 0;  // of the ring, counted from the first
  int32_t num_segments_ = 0;
  int32_t num_by_shard_ = 0;
  bool is_mixed_ = false;
  bool keeps_history_ = false;
  std::vector<DrawRow> draws_;
  std::vector<DrawRow> whole_draws_;
  std::vector<Segment> segments_;  // by slot
};

}  // namespace trireme
