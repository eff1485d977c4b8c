// Sizes of the buffers that a rank allocates for its steps. worker/ and kernels/ allocate by these
// numbers, and model/device_plan.cc predicts with them. Each type whose size is given here has a
// static_assert at its definition. Constants and pure functions.
#pragma once

#include <algorithm>
#include <cstdint>

namespace trireme {

constexpr int32_t kHeadRows = 256;  // maximum of residual rows per pass of the head matmul
constexpr int32_t kWholeRows = 16;  // rows of logits per pass that gathers the whole vocabulary
// Rows of a pass of a rank with max_slots slots.
constexpr int32_t head_rows(int64_t max_slots) {
  return static_cast<int32_t>(std::clamp<int64_t>(max_slots, kWholeRows, kHeadRows));
}
// Rows that a rank draws whole out of a pass of captured steps (Comm::gathers_rows()).
constexpr int64_t dealt_rows(int64_t pass_rows, int64_t tp) {
  return tp > 1 ? std::max<int64_t>(kWholeRows, (pass_rows + tp - 1) / tp) : kWholeRows;
}

// Per slot, on ranks that sample.
constexpr int32_t kMaxLogitBias = 4096;  // logit_bias entries of a request
constexpr int32_t kMaxBannedIds = 256;   // end-of-sequence and stop ids of a request

constexpr int64_t kSamplingRowBytes = 104;  // parameters of one sampled row
constexpr int64_t kShardDrawBytes = 8;      // best (value, id) of a shard
constexpr int64_t kTokenLogprobBytes = 8;   // (id, log-probability)

// The arrays of a step's record (worker/step/step_arrays.h), int32 each.
constexpr int64_t kArraysPerToken = 4;  // id, position, slot, place in the history
constexpr int64_t kArraysPerDraw = 3;   // row, slot, place in the history

// The maximum of page-table entries that one record changes: a page per decode, the pages of all
// chunks, and those of one whole cached prompt. Further changes are uploaded outside of the record.
constexpr int64_t max_table_changes(int64_t max_slots,
                                    int64_t max_batched_tokens,
                                    int64_t page_tokens,
                                    int64_t pages_per_slot) {
  return 2 * max_slots + max_batched_tokens / page_tokens + pages_per_slot;
}

// Bytes of the record of a step, without the alignment of its arrays: the arrays above, max_slots +
// 1 segment starts, the number of page-table changes and their (index, page id) pairs, the
// parameters of the sampled rows.
constexpr int64_t step_record_bytes(int64_t max_batched_tokens,
                                    int64_t max_slots,
                                    int64_t max_changes) {
  const int64_t words = kArraysPerToken * max_batched_tokens + kArraysPerDraw * max_slots +
                        (max_slots + 1) + (1 + 2 * max_changes);
  return 4 * words + kSamplingRowBytes * max_slots;
}

// Numbers of buffers in flight, for pp pipeline stages.
// Steps of one rank: pp + 1 plans in flight, and two more for a host that is late to read results.
constexpr int32_t max_steps_in_flight(int32_t pp) { return pp + 3; }
// Residuals between stages: one per plan in flight.
constexpr int32_t num_residual_buffers(int32_t pp) { return pp > 1 ? pp + 1 : 1; }
// Lists of sampled ids in flight from the last stage to the first.
constexpr int32_t num_token_lists(int32_t pp) { return pp + 2; }
constexpr int32_t kTokenListAlignment = 64;  // in ids: lists start at multiples of 256 bytes

}  // namespace trireme
