// The inputs of one step as one block of bytes (a record), so that one copy brings them to the
// device: rows, sampled rows and changes of the page table. The same layout in the host's ring, the
// device's ring and the record that the ops read.
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

// Views of the arrays of a record at `base`. Does not own them.
class StepArrays {
 public:
  StepArrays() = default;
  StepArrays(std::byte* base, const StepArrayLimits& limits);
  static int64_t bytes(const StepArrayLimits& limits);

  // [max_batched_tokens], per row: token id (-1: the slot's drawn id), position, slot (-1:
  // padding), and index of the id in the slot's history (-1: not kept).
  std::span<int32_t> token_ids;
  std::span<int32_t> positions;
  std::span<int32_t> slots;
  std::span<int32_t> places;
  std::span<int32_t> segment_starts;  // [max_slots + 1]
  // [max_slots], per sampled row: its row, its slot, index of the drawn id in the slot's history
  // (-1: not kept); `sampling` has its parameters.
  std::span<int32_t> sampled_rows;
  std::span<int32_t> sampled_slots;
  std::span<int32_t> sampled_places;
  std::span<int32_t> table_changes;  // count, then (index, page id) pairs
  std::span<SamplingRow> sampling;
};

}  // namespace trireme
