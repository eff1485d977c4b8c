// The request state of every slot of this rank as counts: computed tokens, pages, sampling and the
// index of the next draw; the token ids stay on the device (SlotState). Changed by plans only, in
// plan order, and so equal on every rank. Checks every statement of a plan: a plan comes from a
// peer, and one that breaks the protocol is an error (TRI-STEP-...), never a crash. Values that a
// client can send (ids, sampling parameters) fail their slot alone. Used by the step loop.
// Allocates at construction and when a slot opens.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/status.h"
#include "kernels/sampling_row.h"
#include "model/step_plan.h"
#include "worker/step/slot_state.h"

namespace trireme {

struct SlotLimits {
  int32_t max_slots = 0;
  int32_t max_model_len = 0;
  int32_t page_tokens = 0;
  int32_t num_pages = 0;
  int32_t vocabulary = 0;  // ids of requests and draws are below it
  bool draws = false;      // this rank samples (last stage)
};

struct Slot {
  bool open = false;
  bool failed = false;      // draws nothing more; its rows still run, greedily
  bool has_drawn = false;   // the token at `computed` is drawn, perhaps still in flight
  uint32_t generation = 0;  // counts openings
  int32_t computed = 0;     // tokens whose KV is in pages
  int32_t num_pages = 0;
  int64_t ids_step = 0;  // the step that drew last
  int32_t num_prompt = 0;
  uint32_t num_emitted = 0;  // index of the next draw
  uint64_t seed = 0;
  uint32_t choice = 0;
  SamplingParams sampling;
};

class SlotTable {
 public:
  explicit SlotTable(const SlotLimits& limits);
  // Before the first plan: sets the number of pages, and the maximum length, which cannot grow.
  void limit(int32_t num_pages, int32_t max_model_len);
  // Closes all slots.
  void reset();

  // --- the parts of a plan, in this order -------------------------------------------------------
  Status close(SlotId slot);
  Status open(const OpenedSlot& opened);
  Status grant(const PageGrant& grant);
  Status check_copy(const PageCopy& copy) const;
  // The slot's next tokens are computed in this step; they must fit its length and its pages.
  Status advance_chunk(const Chunk& chunk);
  Status advance_decode(SlotId slot);
  // This step draws the slot's next token; its id stays on the device.
  void note_draw(SlotId slot, int64_t step);

  // --- draws ------------------------------------------------------------------------------------
  // The kernels' parameters for drawing the slot's next token. Points into `memory`.
  SamplingRow sampling_row(SlotId slot, const SlotState& memory) const;
  // Whether a draw needs the logits of the whole vocabulary, because of top-k, top-p, min-p or
  // logprobs. Depends on the request alone, so that all ranks agree.
  bool draws_whole(SlotId slot) const;
  // Whether the slot's ids are kept in its history on the device.
  bool keeps_history(SlotId slot) const {
    return limits_.draws && slots_[slot].sampling.needs_history();
  }

  const Slot& operator[](SlotId slot) const { return slots_[slot]; }
  bool is_open(SlotId slot) const { return in_range(slot) && slots_[slot].open; }
  // Fails the slot's request; the coordinator is notified in the step's result.
  void fail(SlotId slot, std::string message);
  std::span<const SlotFailure> failures() const { return failures_; }
  void clear_failures() { failures_.clear(); }
  const SlotLimits& limits() const { return limits_; }

  // --- the page table ---------------------------------------------------------------------------
  int32_t page_table_stride() const { return stride_; }
  std::span<const int32_t> page_table() const { return page_table_; }
  // Entries changed since clear_changes(), as indices into page_table().
  std::span<const int32_t> changes() const { return changes_; }
  void clear_changes() { changes_.clear(); }

 private:
  bool in_range(SlotId slot) const { return slot >= 0 && slot < limits_.max_slots; }
  Status check_open(SlotId slot, const char* what) const;
  Status check_room(const Slot& slot, SlotId id, int32_t count) const;
  void check_ids(SlotId slot, std::span<const TokenId> ids, const char* what);
  void check_sampling(SlotId slot, const SamplingParams& sampling);

  SlotLimits limits_;
  const int32_t stride_;  // page ids per slot
  std::vector<Slot> slots_;
  std::vector<int32_t> page_table_;  // [max_slots, stride_]
  std::vector<int32_t> changes_;
  std::vector<SlotFailure> failures_;
};

}  // namespace trireme
