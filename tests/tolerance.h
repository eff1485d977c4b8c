// The table of tolerances for ops (docs/numerics.md): by the type of the inputs and the length of
// the sums. The one for whole models is in model/reference_outputs.h.
#pragma once

#include <cmath>
#include <cstdint>

#include "base/dtype.h"

namespace trireme {

// Largest error of one sum of `length` products whose absolute values add up to `magnitude`, inputs
// exact: fp32 rounding of each step, growing like the root of the length; plus the rounding of an
// output of type `out`.
inline double sum_tolerance(int64_t length, double magnitude, DType out) {
  const double steps = 4 + std::sqrt(static_cast<double>(length));
  const double rounding = out == DType::kBFloat16 ? 0x1p-8 : 0x1p-24;
  return magnitude * (steps * 0x1p-24 + rounding) + 1e-30;
}

// Relative error of an element-wise op with a handful of steps and one polynomial.
inline double elementwise_tolerance(double magnitude, DType out) {
  const double rounding = out == DType::kBFloat16 ? 0x1p-8 : 0x1p-21;
  return magnitude * rounding + 1e-30;
}

// Attention over `length` tokens whose scores carry an error of at most `score_error` and whose
// weighted values add up to `magnitude` in absolute value: a score's error moves its weight and the
// sum of weights; a page adds a few roundings.
inline double attention_tolerance(int64_t length, double score_error, double magnitude, DType out) {
  return magnitude * (2 * score_error + 0x1p-20) + sum_tolerance(length, magnitude, out);
}

}  // namespace trireme
