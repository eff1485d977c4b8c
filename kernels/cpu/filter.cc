#include "kernels/cpu/filter.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>

namespace trireme {

namespace {

constexpr float kNever = -std::numeric_limits<float>::infinity();
constexpr int64_t kLeafIds = 1024;
constexpr int kDigitBits = 11;  // three digits cover 32 bits: 11 + 11 + 10
constexpr int kBuckets = 1 << kDigitBits;

// Unsigned keys in the order of the floats.
uint32_t key_of(float value) {
  const uint32_t bits = std::bit_cast<uint32_t>(value + 0.0f);
  return (bits & 0x80000000) ? ~bits : bits | 0x80000000;
}

struct Digit {
  int shift;
  uint32_t mask;
};
constexpr Digit kDigits[] = {{21, 0x7ff}, {10, 0x7ff}, {0, 0x3ff}};

// The key at which the running weight, taken from the greatest key down, first reaches `target`;
// ids of greater keys weigh `above` together. weight[i] of an id that is out must be 0.
struct Threshold {
  uint32_t key = 0;
  double above = 0;
};

Threshold find_threshold(
    const float* logits, const double* weight, int64_t width, double target, double* buckets) {
  Threshold found;
  uint32_t prefix_mask = 0;
  for (const Digit& digit : kDigits) {
    std::fill_n(buckets, kBuckets, 0.0);
    for (int64_t i = 0; i < width; ++i) {
      const uint32_t key = key_of(logits[i]);
      if (weight[i] == 0 || (key & prefix_mask) != found.key) continue;
      buckets[(key >> digit.shift) & digit.mask] += weight[i];
    }
    int64_t bucket = digit.mask;
    int64_t last = -1;  // the lowest bucket with weight, should rounding never reach the target
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

// Keeps ids above the threshold, and of those equal to it, in id order, while `above` is below
// target.
void cut(float* logits, const double* weight, int64_t width, double target, Threshold threshold) {
  double taken = threshold.above;
  for (int64_t i = 0; i < width; ++i) {
    const uint32_t key = key_of(logits[i]);
    if (logits[i] == kNever || key > threshold.key) continue;
    const bool stays = key == threshold.key && taken < target;
    if (stays) taken += weight[i];
    if (!stays) logits[i] = kNever;
  }
}

float greatest_of(const float* logits, int64_t width) {
  float greatest = kNever;
  for (int64_t i = 0; i < width; ++i) greatest = logits[i] > greatest ? logits[i] : greatest;
  return greatest;
}

// weight[i] = e^(logit - greatest); returns their sum in leaves.
double exponentials(const float* logits, int64_t width, float greatest, double* weight) {
  double total = 0;
  for (int64_t begin = 0; begin < width; begin += kLeafIds) {
    double leaf = 0;
    for (int64_t i = begin; i < std::min(width, begin + kLeafIds); ++i) {
      weight[i] = logits[i] > kNever ? std::exp(static_cast<double>(logits[i] - greatest)) : 0;
      leaf += weight[i];
    }
    total += leaf;
  }
  return total;
}

void keep_top_k(float* logits, int64_t width, int32_t top_k, double* weight, double* buckets) {
  for (int64_t i = 0; i < width; ++i) weight[i] = logits[i] > kNever ? 1 : 0;
  const Threshold threshold = find_threshold(logits, weight, width, top_k, buckets);
  cut(logits, weight, width, top_k, threshold);
}

}  // namespace

int64_t filter_row(float* logits,
                   int64_t width,
                   float temperature,
                   int32_t top_k,
                   float top_p,
                   float min_p,
                   void* scratch) {
  auto* buckets = static_cast<double*>(scratch);
  double* weight = buckets + kFilterHistogramBytes / sizeof(double);
  for (int64_t i = 0; i < width; ++i) {
    logits[i] = logits[i] > kNever ? logits[i] / temperature : kNever;  // NaN is never drawn
  }
  const float greatest = greatest_of(logits, width);
  if (greatest == kNever) return 0;
  if (top_k > 0 && top_k < width) keep_top_k(logits, width, top_k, weight, buckets);
  if (top_p < 1) {
    const double target = top_p * exponentials(logits, width, greatest, weight);
    const Threshold threshold = find_threshold(logits, weight, width, target, buckets);
    cut(logits, weight, width, target, threshold);
  }
  int64_t kept = 0;
  const double least = std::log(static_cast<double>(min_p));
  for (int64_t i = 0; i < width; ++i) {
    if (min_p > 0 && static_cast<double>(logits[i] - greatest) < least) logits[i] = kNever;
    kept += logits[i] > kNever;
  }
  return kept;
}

double log_sum_exp(const float* logits, int64_t width) {
  const float greatest = greatest_of(logits, width);
  if (greatest == kNever) return -std::numeric_limits<double>::infinity();
  double total = 0;
  for (int64_t begin = 0; begin < width; begin += kLeafIds) {
    double leaf = 0;
    for (int64_t i = begin; i < std::min(width, begin + kLeafIds); ++i) {
      if (logits[i] > kNever) leaf += std::exp(static_cast<double>(logits[i] - greatest));
    }
    total += leaf;
  }
  return greatest + std::log(total);
}

}  // namespace trireme
