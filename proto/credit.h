// The cost of a part of an answer in bytes of the credit of its stream. Close to the bytes on the
// wire, but a function of counts alone, so that client and coordinator agree without measuring
// frames. Pure functions.
#pragma once

#include <cstdint>

namespace trireme {

constexpr int64_t kCreditPartBytes = 16;  // tag, choice, index
constexpr int64_t kDefaultCreditBytes = 1 << 20;
constexpr int64_t kMaxCreditBytes = int64_t{1} << 40;

// A Piece: ids, text and all (id, logprob) pairs. The bytes of TokenLogprob.token_bytes and
// top_bytes come on top, here and in PromptLogprobs.
constexpr int64_t piece_cost(int64_t num_ids, int64_t text_bytes, int64_t num_logprob_pairs) {
  return kCreditPartBytes + 4 * num_ids + text_bytes + 8 * num_logprob_pairs;
}

// An AnswerPart beside the piece that holds it; the bytes of its call_id, name and text.
constexpr int64_t part_cost(int64_t bytes) { return kCreditPartBytes + bytes; }

// One entry of PromptLogprobs.
constexpr int64_t prompt_logprobs_cost(int64_t num_logprob_pairs) {
  return kCreditPartBytes + 8 * num_logprob_pairs;
}

constexpr int64_t probe_cost(int64_t num_values) { return kCreditPartBytes + 4 * num_values; }

}  // namespace trireme
