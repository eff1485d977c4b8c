// Top-k, top-p and min-p over one whole row of adjusted logits, in the order and with the tie rules
// of docs/numerics.md. Thresholds come from histograms over the bits of the floats, without a sort.
#pragma once

#include <cstdint>

#include "kernels/sampling_row.h"

namespace trireme {

// Sum of e^(logit - greatest) over a row, each term to `weights` unless null: TierOps::exp_sum.
using ExpSum = double (*)(const float* logits, int64_t width, float greatest, float* weights);

constexpr int64_t kHistogramBuckets = 1 << 11;  // three digits cover 32 bits: 11 + 11 + 10

// Scratch of filter_row for `width` ids, a multiple of 64 bytes.
constexpr int64_t filter_scratch_bytes(int64_t width) {
  return (width * 4 + 63) / 64 * 64 + kHistogramBuckets * 8;
}

// Divides `logits` by the temperature and sets excluded ids to -inf. Returns the number of ids
// left.
int64_t filter_row(
    float* logits, int64_t width, const SamplingRow& row, ExpSum exp_sum, void* scratch);

// The maximum, NaN ignored; -inf if there is none.
float max_of(const float* logits, int64_t width);

}  // namespace trireme
