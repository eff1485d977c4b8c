// Tolerances for tests of ops (docs/numerics.md), by the dtype of the output and the length of the
// sums. Those for whole models are in model/checkpoint/reference_outputs.h. Pure functions.
#pragma once

#include <cmath>
#include <cstdint>

#include "base/dtype.h"

namespace trireme {

// Half an ulp of `magnitude` in type `out`, plus an absolute part for subnormals. For fp32 the
// relative part is `fp32`.
inline double rounding_error(double magnitude, DType out, double fp32) {
  if (out == DType::kBFloat16) return magnitude * 0x1p-8 + 1e-30;
  if (out == DType::kFloat16) return magnitude * 0x1p-11 + 0x1p-25;
  return magnitude * fp32 + 1e-30;
}

// Maximum error of a sum of `length` products of exact inputs whose absolute values add up to
// `magnitude`: fp32 rounding of each step, growing like the square root of the length, plus the
// rounding of the output to type `out`.
inline double sum_tolerance(int64_t length, double magnitude, DType out) {
  const double steps = 4 + std::sqrt(static_cast<double>(length));
  return magnitude * steps * 0x1p-24 + rounding_error(magnitude, out, 0x1p-24);
}

// Maximum error of a sum of `length` products that is stored in type `stored` before an epilogue:
// that of the sum in fp32, and the rounding of the result, |value| with that error.
inline double staged_tolerance(int64_t length, double value, double magnitude, DType stored) {
  const double sum_error = sum_tolerance(length, magnitude, DType::kFloat32);
  return sum_error + rounding_error(std::abs(value) + sum_error, stored, 0x1p-24);
}

// Maximum bias of a sum of `length` products by tensor cores, which cut where fp32 rounds to
// nearest. Eight products and the running sum lose on average half of 2^-24 of the running sum
// each, and the new sum half of 2^-23: 5.5 x 2^-24 of the running sum, which is on average half of
// `magnitude` if all products have one sign. It adds to sum_tolerance(), which has the part of mean
// zero. Products of mixed signs have a running sum of about magnitude / sqrt(length), so that
// sum_tolerance() covers their bias.
inline double truncation_bias(int64_t length, double magnitude) {
  return magnitude * static_cast<double>(length) / 8 * 5.5 / 2 * 0x1p-24;
}

// Maximum error of an element-wise op of a few steps and one polynomial.
inline double elementwise_tolerance(double magnitude, DType out) {
  return rounding_error(magnitude, out, 0x1p-21);
}

// Maximum error of attention over `length` tokens, whose scores have an error of at most
// `score_error` and whose weighted values add up to `magnitude` in absolute value. The error of a
// score changes its weight and the sum of the weights; each page adds a few roundings. If weights
// are rounded to type `weights` before the product with V, each term has one more rounding; weights
// are at most 1 and values at most `largest`.
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
