// What one step tells the device, as one block of bytes that travels in one copy: rows, sampled
// rows, and what changed in the page table. The same layout in the host's ring, the device's ring
// and the record that the ops read.
#pragma once

#include <cstdint>
#include <span>

#include "kernels/backend.h"

namespace trireme {

struct StepArrayLimits {
  int32_t max_batched_tokens = 0;
  int32_t max_slots = 0;    // sampled rows and segments
  int32_t max_changes = 0;  // of the page table
};

// The arrays of a record that lies at `base`.
class StepArrays {
 public:
  StepArrays() = default;
  StepArrays(std::byte* base, const StepArrayLimits& limits);
  static int64_t bytes(const StepArrayLimits& limits);

  // [max_batched_tokens] of each row: its id (-1: the slot's drawn one), position, slot (-1:
  // padding), and where its id stands in the slot's history (-1: not kept).
  std::span<int32_t> token_ids;
  std::span<int32_t> positions;
  std::span<int32_t> slots;
  std::span<int32_t> places;
  std::span<int32_t> segment_starts;  // [max_slots + 1]
  // [max_slots] of each sampled row: which row it is, its slot, where the drawn id goes in the
  // slot's history, and how it is drawn.
  std::span<int32_t> sampled_rows;
  std::span<int32_t> sampled_slots;
  std::span<int32_t> sampled_places;
  std::span<int32_t> table_changes;  // count, then (index, page id) pairs
  std::span<SamplingRow> sampling;
};

}  // namespace trireme
