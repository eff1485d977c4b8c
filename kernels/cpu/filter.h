// Which ids of a row may be drawn: top-k, top-p and min-p over one whole row of adjusted logits, in
// the order and with the ties of docs/numerics.md. No sort: thresholds come from histograms over
// the bits.
#pragma once

#include <cstdint>

namespace trireme {

// Scratch of filter_row for `width` ids.
constexpr int64_t kFilterHistogramBytes = 128 << 10;
constexpr int64_t filter_scratch_bytes(int64_t width) { return width * 8 + kFilterHistogramBytes; }

// Divides `logits` by the temperature and sets what may not be drawn to -inf. Returns how many
// stay.
int64_t filter_row(float* logits,
                   int64_t width,
                   float temperature,
                   int32_t top_k,
                   float top_p,
                   float min_p,
                   void* scratch);

// ln of sum_i e^(logits[i] - greatest), plus greatest: leaves of 1,024 ids, added in order.
double log_sum_exp(const float* logits, int64_t width);

}  // namespace trireme
