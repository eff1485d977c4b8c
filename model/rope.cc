#include "model/rope.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace trireme {

namespace {

// Llama 3.1: long wavelengths are stretched by the factor, short ones are kept, and those between
// are interpolated.
void scale_llama3(const RopeConfig& rope, std::vector<float>& frequencies) {
  const double old_length = static_cast<double>(rope.original_max_positions);
  const double low_wavelength = old_length / rope.low_freq_factor;
  const double high_wavelength = old_length / rope.high_freq_factor;
  for (float& frequency : frequencies) {
    const float wavelength = static_cast<float>(2 * std::numbers::pi) / frequency;
    if (wavelength < high_wavelength) continue;
    if (wavelength > low_wavelength) {
      frequency = static_cast<float>(frequency / rope.factor);
      continue;
    }
    const double smooth = (old_length / wavelength - rope.low_freq_factor) /
                          (rope.high_freq_factor - rope.low_freq_factor);
    frequency = static_cast<float>((1 - smooth) * frequency / rope.factor + smooth * frequency);
  }
}

// YaRN: the dimension whose wave makes `rotations` full turns over the original context.
double yarn_dimension(const RopeConfig& rope, int64_t rotary_dim, double rotations) {
  const double context = static_cast<double>(rope.original_max_positions);
  return rotary_dim * std::log(context / (rotations * 2 * std::numbers::pi)) /
         (2 * std::log(rope.theta));
}

void scale_yarn(const RopeConfig& rope, int64_t rotary_dim, std::vector<float>& frequencies) {
  double low = yarn_dimension(rope, rotary_dim, rope.beta_fast);
  double high = yarn_dimension(rope, rotary_dim, rope.beta_slow);
  if (rope.truncate) {
    low = std::floor(low);
    high = std::ceil(high);
  }
  low = std::max(low, 0.0);
  high = std::min(high, static_cast<double>(rotary_dim - 1));
  if (low == high) high += 0.001;
  for (size_t i = 0; i < frequencies.size(); ++i) {
    const double ramp = std::clamp((static_cast<double>(i) - low) / (high - low), 0.0, 1.0);
    const double keep = 1 - ramp;
    const double frequency = frequencies[i];
    frequencies[i] = static_cast<float>(frequency / rope.factor * (1 - keep) + frequency * keep);
  }
}

}  // namespace

std::vector<float> rope_inverse_frequencies(const RopeConfig& rope, int64_t rotary_dim) {
  std::vector<float> frequencies(rotary_dim / 2);
  for (int64_t i = 0; i < rotary_dim / 2; ++i) {
    const float exponent = static_cast<float>(2 * i) / static_cast<float>(rotary_dim);
    frequencies[i] = 1.0f / static_cast<float>(std::pow(rope.theta, static_cast<double>(exponent)));
  }
  if (rope.scaling == RopeScaling::kLinear) {
    for (float& frequency : frequencies) frequency = static_cast<float>(frequency / rope.factor);
  }
  if (rope.scaling == RopeScaling::kLlama3) scale_llama3(rope, frequencies);
  if (rope.scaling == RopeScaling::kYarn) scale_yarn(rope, rotary_dim, frequencies);
  return frequencies;
}

std::vector<float> rope_table(const RopeConfig& rope, int64_t rotary_dim, int64_t max_positions) {
  const std::vector<float> frequencies = rope_inverse_frequencies(rope, rotary_dim);
  std::vector<float> table;
  table.reserve(max_positions * rotary_dim);
  const float factor = static_cast<float>(rope.attention_factor);
  for (int64_t position = 0; position < max_positions; ++position) {
    for (const float frequency : frequencies) {
      const double angle = static_cast<float>(position) * frequency;
      table.push_back(static_cast<float>(std::cos(angle)) * factor);
      table.push_back(static_cast<float>(std::sin(angle)) * factor);
    }
  }
  return table;
}

}  // namespace trireme
