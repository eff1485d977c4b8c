#include "kernels/cpu/top_k_top_p.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>

#include "kernels/draw.h"

namespace trireme {

namespace {

// Maps a float to an unsigned key with the same order.
uint32_t key_of(float value) {
  const uint32_t bits = std::bit_cast<uint32_t>(value + 0.0f);
  return (bits & 0x80000000) ? ~bits : bits | 0x80000000;
}

struct Digit {
  int shift;
  uint32_t mask;
};
constexpr Digit kDigits[] = {{21, 0x7ff}, {10, 0x7ff}, {0, 0x3ff}};

// The key at which the sum of weights, in descending order of keys, first reaches `target`; `above`
// is the weight of all greater keys. weight[i] of an excluded id is 0.
struct Threshold {
  uint32_t key = 0;
  double above = 0;
};

Threshold find_threshold(
    const float* logits, const float* weight, int64_t width, double target, double* buckets) {
  Threshold found;
  uint32_t prefix_mask = 0;
  for (const Digit& digit : kDigits) {
    std::fill_n(buckets, kHistogramBuckets, 0.0);
    for (int64_t i = 0; i < width; ++i) {
      const uint32_t key = key_of(logits[i]);
      if (weight[i] == 0 || (key & prefix_mask) != found.key) continue;
      buckets[(key >> digit.shift) & digit.mask] += weight[i];
    }
    int64_t bucket = digit.mask;
    int64_t last = -1;  // lowest bucket with weight, in case rounding never reaches the target
    for (; bucket >= 0; --bucket) {
      if (buckets[bucket] == 0) continue;
      last = bucket;
      if (found.above + buckets[bucket] >= target) break;
      found.above += buckets[bucket];
    }
    if (bucket < 0) {
      bucket = std::max<int64_t>(last, 0);
      found.above -= buckets[bucket];
    }
    found.key |= static_cast<uint32_t>(bucket) << digit.shift;
    prefix_mask |= digit.mask << digit.shift;
  }
  return found;
}

// Keeps ids above the threshold; of those equal to it, in id order, while `above` is below target.
void cut(float* logits, const float* weight, int64_t width, double target, Threshold threshold) {
  double taken = threshold.above;
  for (int64_t i = 0; i < width; ++i) {
    const uint32_t key = key_of(logits[i]);
    if (logits[i] == kNever || key > threshold.key) continue;
    const bool stays = key == threshold.key && taken < target;
    if (stays) taken += weight[i];
    if (!stays) logits[i] = kNever;
  }
}

void keep_top_k(float* logits, int64_t width, int32_t top_k, float* weight, double* buckets) {
  for (int64_t i = 0; i < width; ++i) weight[i] = logits[i] > kNever ? 1.0f : 0.0f;
  cut(logits, weight, width, top_k, find_threshold(logits, weight, width, top_k, buckets));
}

// A smallest positive target keeps the first id even with top_p 0.
void keep_top_p(float* logits, int64_t width, double target, float* weight, double* buckets) {
  target = std::max(target, std::numeric_limits<double>::min());
  cut(logits, weight, width, target, find_threshold(logits, weight, width, target, buckets));
}

}  // namespace

float max_of(const float* logits, int64_t width) {
  float greatest = kNever;
  for (int64_t i = 0; i < width; ++i) greatest = logits[i] > greatest ? logits[i] : greatest;
  return greatest;
}

int64_t filter_row(
    float* logits, int64_t width, const SamplingRow& row, ExpSum exp_sum, void* scratch) {
  auto* buckets = static_cast<double*>(scratch);
  auto* weight = reinterpret_cast<float*>(buckets + kHistogramBuckets);
  const float temperature = std::max(row.temperature, kLowestTemperature);
  for (int64_t i = 0; i < width; ++i) {
    logits[i] = logits[i] > kNever ? logits[i] / temperature : kNever;  // NaN is never drawn
  }
  const float greatest = max_of(logits, width);
  if (greatest == kNever) return 0;
  if (row.top_k > 0 && row.top_k < width) keep_top_k(logits, width, row.top_k, weight, buckets);
  if (row.top_p < 1) {
    const double mass = exp_sum(logits, width, greatest, weight);
    keep_top_p(logits, width, row.top_p * mass, weight, buckets);
  }
  int64_t kept = 0;
  const double least = std::log(static_cast<double>(row.min_p));
  for (int64_t i = 0; i < width; ++i) {
    const bool is_rare = row.min_p > 0 && static_cast<double>(logits[i] - greatest) < least;
    if (is_rare) logits[i] = kNever;
    kept += logits[i] > kNever;
  }
  return kept;
}

}  // namespace trireme
