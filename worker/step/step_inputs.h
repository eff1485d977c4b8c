// The inputs of a step as the kernels read them. The host writes each step into a record of a ring
// in shared memory; the side queue copies it to the device while earlier steps run, or the lane
// where ranks share the device, whose hardware queues are for their lanes; an op copies it to a
// fixed place when its turn comes, so that captured ops always read the same addresses. Advances
// the slots while it writes. Rows are ordered decodes, then chunks; sampled rows those drawn by
// shard, then those drawn from the whole vocabulary. Allocates at construction only. Used by the
// step loop.
#pragma once

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
  // `depth`: maximum number of steps in flight. `copies`: the queue of the records' copies.
  static StatusOr<StepInputs> make(Backend& backend,
                                   int32_t max_batched_tokens,
                                   const SlotTable& slots,
                                   int32_t depth,
                                   Queue& copies);

  // Writes `part` into the next record and advances the slots. The caller guarantees that the step
  // that used this record, `depth` steps with tokens earlier, has finished. Changes of the page
  // table are held back until a step has tokens. TRI-STEP-008: too many tokens. TRI-STEP-015: a
  // slot twice. Others: see SlotTable.
  Status fill(
      Queue& queue, const StepPart& part, int64_t step, SlotTable& slots, const SlotState& memory);
  // The steps that were filled so far are over, and the next one may have any number.
  void reset();
  // Pads the filled step to `num_tokens` rows and `num_rows` sampled rows.
  void pad(int32_t num_tokens, int32_t num_rows, bool is_mixed);
  // Copies the record to the device; work enqueued on `queue` from now on waits for the copy.
  void send(Queue& queue);
  // Enqueues the op that copies the record to its fixed place: the ops after it read this step.
  void take(Queue& queue);

  const BatchView& batch() const { return batch_; }
  const StepArrays& device() const { return device_record_; }
  int32_t* token_ids() { return device_record_.token_ids.data(); }
  // The device's counter by which ops find the entries of their step in the rings.
  uint64_t* step_counter() const { return ring_.step; }

  // Rows to draw, without padding; the first num_by_shard() are drawn by shard.
  std::span<const DrawRow> draws() const { return draws_; }
  int32_t num_by_shard() const { return num_by_shard_; }
  bool has_logprobs() const { return has_logprobs_; }  // of some row to draw
  bool is_mixed() const { return is_mixed_; }
  bool keeps_history() const { return keeps_history_; }  // of some prompt
  // The row that computes `position` of `slot` in this step, or -1.
  int32_t row_of(SlotId slot, int32_t position) const;

 private:
  StepInputs(Backend& backend, Queue& copies, int32_t max_batched_tokens, int32_t max_slots);

  Status add_rows(const StepPart& part, SlotTable& slots);
  Status add_segment(SlotId slot, int32_t start, int32_t count);
  void add_draw(SlotId slot, const SlotTable& slots);
  void write_draws(const SlotTable& slots, const SlotState& memory);
  void write_changes(Queue& queue, SlotTable& slots);
  void clear();

  struct Segment {  // the rows of a slot in step `step`
    int64_t step = 0;
    int32_t row = 0;
    int32_t start = 0;
    int32_t count = 0;
  };

  Backend* backend_;
  StepArrayLimits limits_;
  int64_t record_bytes_ = 0;
  Queue* copies_;
  Buffer host_ring_;  // shared memory
  Buffer device_;     // the ring, then the current record, then the step counter
  Buffer page_table_;
  StepRing ring_;
  StepArrays record_;  // the host's record that is being written
  StepArrays device_record_;
  BatchView batch_;

  int64_t step_ = 0;
  int64_t entry_ = 0;  // number of records sent so far
  int32_t num_segments_ = 0;
  int32_t num_by_shard_ = 0;
  bool has_logprobs_ = false;
  bool is_mixed_ = false;
  bool keeps_history_ = false;
  std::vector<DrawRow> draws_;
  std::vector<DrawRow> whole_draws_;
  std::vector<Segment> segments_;  // by slot
};

}  // namespace trireme
