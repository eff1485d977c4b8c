// The table of tolerances for ops (docs/numerics.md): by the type of the inputs and the length of
// the sums. The one for whole models is in model/reference_outputs.h.
#pragma once

#include <cmath>
#include <cstdint>

#include "base/dtype.h"

namespace trireme {

// Half a unit in the last place of type `out`, relative and absolute (subnormals); `fp32` stands in
// for fp32's own.
inline double rounding_error(double magnitude, DType out, double fp32) {
  if (out == DType::kBFloat16) return magnitude * 0x1p-8 + 1e-30;
  if (out == DType::kFloat16) return magnitude * 0x1p-11 + 0x1p-25;
  return magnitude * fp32 + 1e-30;
}

// Largest error of one sum of `length` products whose absolute values add up to `magnitude`, inputs
// exact: fp32 rounding of each step, growing like the root of the length; plus the rounding of an
// output of type `out`.
inline double sum_tolerance(int64_t length, double magnitude, DType out) {
  const double steps = 4 + std::sqrt(static_cast<double>(length));
  return magnitude * steps * 0x1p-24 + rounding_error(magnitude, out, 0x1p-24);
}

// Relative error of an element-wise op with a handful of steps and one polynomial.
inline double elementwise_tolerance(double magnitude, DType out) {
  return rounding_error(magnitude, out, 0x1p-21);
}

// Attention over `length` tokens whose scores carry an error of at most `score_error` and whose
// weighted values add up to `magnitude` in absolute value: a score's error moves its weight and the
// sum of weights; a page adds a few roundings. Where weights are rounded to `weights` before they
// meet V, that is a rounding of each term; weights are at most 1 and values at most `largest`.
inline double attention_tolerance(int64_t length,
                                  double score_error,
                                  double magnitude,
                                  DType out,
                                  DType weights = DType::kFloat32,
                                  double largest = 0) {
  double rounded = 0;
  if (weights == DType::kBFloat16) rounded = magnitude * 0x1p-8;
  if (weights == DType::kFloat16) {
    rounded = magnitude * 0x1p-11 + static_cast<double>(length) * 0x1p-25 * largest;
  }
  return magnitude * (2 * score_error + 0x1p-20) + rounded + sum_tolerance(length, magnitude, out);
}

}  // namespace trireme
