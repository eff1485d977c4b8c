// The authoritative counts of every slot of this rank: how many of its tokens are computed, its
// pages, its sampling and the index of its next draw. Which tokens they are stays on the device
// (SlotState). Changed by plans only, in plan order, and so equal on every rank. All that a plan
// says is checked here: a plan comes from a peer, and one that breaks the protocol is a Status
// (TRI-STEP-...), never a crash. What a client could have sent (ids, sampling values) fails its
// slot alone. Used by the step loop. Allocates at construction and when a slot opens.
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
  int32_t vocabulary = 0;  // ids of requests and draws lie below
  bool draws = false;      // this rank keeps what sampling needs (last stage)
};

struct Slot {
  bool open = false;
  bool failed = false;      // nothing more is drawn for it; its rows still run, greedily
  bool has_drawn = false;   // the token at `computed` is a drawn one (or on its way)
  uint32_t generation = 0;  // counts openings
  int32_t computed = 0;     // tokens whose KV lies in pages
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
  // Before the first plan: how many pages there are, and how long a sequence may be with them (at
  // most as long as before).
  void limit(int32_t num_pages, int32_t max_model_len);

  // --- the parts of a plan, in this order -------------------------------------------------------
  Status close(SlotId slot);
  Status open(const OpenedSlot& opened);
  Status grant(const PageGrant& grant);
  Status check_copy(const PageCopy& copy) const;
  // The slot's next tokens are computed in this step: they must fit, and have pages.
  Status advance_chunk(const Chunk& chunk);
  Status advance_decode(SlotId slot);
  // This step draws the slot's next token; its id stays on the device.
  void note_draw(SlotId slot, int64_t step);

  // --- draws ------------------------------------------------------------------------------------
  // What the kernels read to draw the slot's next token. Points into `memory`.
  SamplingRow sampling_row(SlotId slot, const SlotState& memory) const;
  // Its rows are drawn from the whole vocabulary: a filter is on or logprobs are asked for. A
  // matter of the request alone, so that every rank says the same.
  bool draws_whole(SlotId slot) const;
  // The slot's ids go to its history on the device.
  bool keeps_history(SlotId slot) const {
    return limits_.draws && slots_[slot].sampling.needs_history();
  }

  const Slot& operator[](SlotId slot) const { return slots_[slot]; }
  bool is_open(SlotId slot) const { return in_range(slot) && slots_[slot].open; }
  // The slot's request cannot go on; the coordinator hears it in the step's result.
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
  const int32_t stride_;  // page ids of one slot
  std::vector<Slot> slots_;
  std::vector<int32_t> page_table_;  // [max_slots, stride_]
  std::vector<int32_t> changes_;
  std::vector<SlotFailure> failures_;
};

}  // namespace trireme
