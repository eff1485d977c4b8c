// Sizes of what a rank allocates for its steps. worker/ and kernels/ allocate by these numbers, and
// model/device_plan.cc predicts by them; each type whose size stands here has a static_assert where
// it is defined.
#pragma once

#include <cstdint>

namespace trireme {

constexpr int32_t kHeadRows = 64;  // rows of residual that one pass of the head multiplies
constexpr int32_t kWholeRows =
    16;  // rows of logits that one pass gathers over the whole vocabulary

// Of a slot, on ranks that draw.
constexpr int32_t kMaxLogitBias = 4096;  // logit_bias entries of a request
constexpr int32_t kMaxBannedIds = 256;   // end-of-sequence and stop ids of a request

constexpr int64_t kSamplingRowBytes = 104;  // parameters of a sampled row
constexpr int64_t kShardDrawBytes = 8;      // best (value, id) of a shard
constexpr int64_t kTokenLogprobBytes = 8;   // (id, log-probability)

// The arrays of a step's record (worker/step/step_arrays.h), int32 each.
constexpr int64_t kArraysPerToken = 4;  // id, position, slot, place in the history
constexpr int64_t kArraysPerDraw = 3;   // row, slot, place in the history

// The page-table entries that one record can change: a page for each decode, the pages of all
// chunks, and those of one whole cached prompt. More are uploaded apart from the record.
constexpr int64_t max_table_changes(int64_t max_slots,
                                    int64_t max_batched_tokens,
                                    int64_t page_tokens,
                                    int64_t pages_per_slot) {
  return 2 * max_slots + max_batched_tokens / page_tokens + pages_per_slot;
}

// Bytes of a step's record without the alignment of its arrays: the arrays above, max_slots + 1
// segment starts, the count of changes and its (index, page id) pairs, the sampled rows.
constexpr int64_t step_record_bytes(int64_t max_batched_tokens,
                                    int64_t max_slots,
                                    int64_t max_changes) {
  const int64_t words = kArraysPerToken * max_batched_tokens + kArraysPerDraw * max_slots +
                        (max_slots + 1) + (1 + 2 * max_changes);
  return 4 * words + kSamplingRowBytes * max_slots;
}

// Buffers in flight, by the number of pipeline stages.
// Steps on a rank: pp + 1 plans in flight, and two for a late host.
constexpr int32_t max_steps_under_way(int32_t pp) { return pp + 3; }
// Residuals between stages: one for each plan in flight.
constexpr int32_t num_residual_buffers(int32_t pp) { return pp > 1 ? pp + 1 : 1; }
// Lists of drawn ids on their way from the last stage to the first.
constexpr int32_t num_token_lists(int32_t pp) { return pp + 2; }
constexpr int32_t kTokenListAlignment = 64;  // ids: lists start at multiples of 256 bytes

}  // namespace trireme
