// residual += delta, then RMSNorm or LayerNorm of one row, for the tier files alone (see tier.h).
// Sums run over 16 lanes in ascending order, then over the lanes as a tree.
#pragma once

#include "kernels/cpu/tiers/tier.h"
#include "kernels/cpu/tiers/vector16.h"

namespace {

static inline int lanes_at(int64_t at, int64_t width) {
  return width - at < 16 ? static_cast<int>(width - at) : 16;
}

static inline void add_delta(const trireme::NormTask& task) {
  for (int64_t i = 0; i < task.width; i += 16) {
    const int count = lanes_at(i, task.width);
    V16 value = load_part(task.residual + i, count);
    if (task.delta != nullptr) value = v_add(value, load_part(task.delta + i, count));
    if (task.delta_bias != nullptr) value = v_add(value, load_part(task.delta_bias + i, count));
    store_row(task.residual, i, 0, value, count);
  }
}

static inline float mean_of(const trireme::NormTask& task) {
  V16 sum = v_zero();
  for (int64_t i = 0; i < task.width; i += 16) {
    sum = v_add(sum, load_part(task.residual + i, lanes_at(i, task.width)));
  }
  return v_sum(sum) / static_cast<float>(task.width);
}

static inline float variance_about(const trireme::NormTask& task, float mean) {
  V16 sum = v_zero();
  for (int64_t i = 0; i < task.width; i += 16) {
    const int count = lanes_at(i, task.width);
    float lanes[16] = {};
    for (int lane = 0; lane < count; ++lane) lanes[lane] = task.residual[i + lane] - mean;
    const V16 x = v_load(lanes);
    sum = v_madd(x, x, sum);
  }
  return v_sum(sum) / static_cast<float>(task.width);
}

static void norm_row(const trireme::NormTask& task) {
  if (task.delta != nullptr || task.delta_bias != nullptr) add_delta(task);
  if (task.out == nullptr) return;
  const float mean = task.is_layer_norm ? mean_of(task) : 0.0f;
  const float variance = variance_about(task, mean);
  const V16 scale = v_set(1.0f / __builtin_sqrtf(variance + task.epsilon));
  const V16 shift = v_set(-mean);
  for (int64_t i = 0; i < task.width; i += 16) {
    const int count = lanes_at(i, task.width);
    const V16 x = v_mul(v_add(load_part(task.residual + i, count), shift), scale);
    const V16 weight = v_add(load_part(task.weight + i, count), v_set(task.weight_offset));
    V16 y = v_mul(x, weight);
    if (task.bias != nullptr) y = v_add(y, load_part(task.bias + i, count));
    store_row(task.out, i, task.out_is_bf16, y, count);
  }
}

}  // namespace
