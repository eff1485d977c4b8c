// Arithmetic of a draw, shared by all backends so that its bits depend on no library: the Gumbel
// noise of (seed, choice, token index, id) and a natural logarithm. Formulas: docs/numerics.md.
#pragma once

#include <bit>
#include <cstdint>
#include <limits>

#include "base/philox.h"

namespace trireme {

constexpr float kNever = -std::numeric_limits<float>::infinity();  // value of an id not drawn

// ln x for finite x > 0, after Cephes' logf: x = 2^e m with m in [sqrt(1/2), sqrt(2)), a polynomial
// in m - 1. Relative error below 2e-7. Plain multiplies and adds only.
constexpr float natural_log(float x) {
  uint32_t bits = std::bit_cast<uint32_t>(x);
  int exponent = 0;
  if (bits < 0x00800000) {  // subnormal: scale up
    bits = std::bit_cast<uint32_t>(x * 0x1p24f);
    exponent = -24;
  }
  exponent += static_cast<int>(bits >> 23) - 126;
  float m = std::bit_cast<float>((bits & 0x007fffff) | 0x3f000000);  // in [0.5, 1)
  if (m < 0.70710678f) {
    --exponent;
    m = m + m;
  }
  m = m - 1.0f;
  const float z = m * m;
  float p = 7.0376836292e-2f;
  p = p * m + -1.1514610310e-1f;
  p = p * m + 1.1676998740e-1f;
  p = p * m + -1.2420140846e-1f;
  p = p * m + 1.4249322787e-1f;
  p = p * m + -1.6668057665e-1f;
  p = p * m + 2.0000714765e-1f;
  p = p * m + -2.4999993993e-1f;
  p = p * m + 3.3333331174e-1f;
  float y = m * z * p;
  const float e = static_cast<float>(exponent);
  y = y + e * -2.12194440e-4f;
  y = y - 0.5f * z;
  return (m + y) + e * 0.693359375f;
}

// Lower temperatures are raised to this: the draw is practically greedy, and logit / temperature
// could overflow.
constexpr float kLowestTemperature = 1e-6f;

// Uniform in (0, 1) from one random word: never 0, never 1.
constexpr float uniform_of(uint32_t word) {
  return (static_cast<float>(word >> 9) + 0.5f) * 0x1p-23f;
}

// -log(-log u). The argmax of logits + noise is a draw from their softmax (Gumbel-max trick).
constexpr float gumbel_noise(uint32_t word) { return -natural_log(-natural_log(uniform_of(word))); }

// Random words of the four ids 4 id_block .. 4 id_block + 3.
constexpr PhiloxBlock draw_words(uint64_t seed,
                                 uint32_t choice,
                                 uint32_t token_index,
                                 uint32_t id_block) {
  return philox4x32({token_index, choice, id_block, 0}, seed);
}

}  // namespace trireme
