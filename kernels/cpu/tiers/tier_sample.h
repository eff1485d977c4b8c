// Gumbel noise of a draw and the softmax sum of a row, for the tier files alone (see tier.h).
//
// The noise repeats kernels/draw.h operation by operation, 64 ids at a time, with plain multiplies
// and adds: the same bits in every tier (tests/kernels/sample_test.cc compares them). That header
// itself may not be included here: its inline functions are shared.
#pragma once

#include "kernels/cpu/tiers/tier.h"
#include "kernels/cpu/tiers/vector16.h"

namespace {

constexpr float kNoLogit = -__builtin_inff();
constexpr int kNoiseBlocks = 16;             // counters at a time, one per lane
constexpr int kNoiseIds = 4 * kNoiseBlocks;  // four words each

// Philox4x32-10 of `kNoiseBlocks` counters that differ in word 2 alone; words[4 b + w].
static inline void noise_words(const trireme::DrawTask& task, uint32_t block, uint32_t* words) {
  uint32_t counter[4][kNoiseBlocks];
  for (int i = 0; i < kNoiseBlocks; ++i) {
    counter[0][i] = task.token_index;
    counter[1][i] = task.choice;
    counter[2][i] = block + static_cast<uint32_t>(i);
    counter[3][i] = 0;
  }
  uint32_t key0 = static_cast<uint32_t>(task.seed);
  uint32_t key1 = static_cast<uint32_t>(task.seed >> 32);
  for (int round = 0; round < 10; ++round) {
    for (int i = 0; i < kNoiseBlocks; ++i) {
      const uint64_t product0 = uint64_t{0xD2511F53} * counter[0][i];
      const uint64_t product1 = uint64_t{0xCD9E8D57} * counter[2][i];
      counter[0][i] = static_cast<uint32_t>(product1 >> 32) ^ counter[1][i] ^ key0;
      counter[1][i] = static_cast<uint32_t>(product1);
      counter[2][i] = static_cast<uint32_t>(product0 >> 32) ^ counter[3][i] ^ key1;
      counter[3][i] = static_cast<uint32_t>(product0);
    }
    key0 += 0x9E3779B9;
    key1 += 0xBB67AE85;
  }
  for (int i = 0; i < kNoiseBlocks; ++i) {
    for (int word = 0; word < 4; ++word) words[4 * i + word] = counter[word][i];
  }
}

// natural_log() of kernels/draw.h without subnormals, which u and -log u never are.
static inline float normal_log(float x) {
  const uint32_t bits = __builtin_bit_cast(uint32_t, x);
  const float half = __builtin_bit_cast(float, (bits & 0x007fffff) | 0x3f000000);
  const int is_low = half < 0.70710678f;
  const float e = static_cast<float>(static_cast<int32_t>(bits >> 23) - 126 - is_low);
  const float m = (is_low ? half + half : half) - 1.0f;
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
  y = y + e * -2.12194440e-4f;
  y = y - 0.5f * z;
  return (m + y) + e * 0.693359375f;
}

static inline void gumbel_noises(const trireme::DrawTask& task, uint32_t block, float* noise) {
  uint32_t words[kNoiseIds];
  noise_words(task, block, words);
  for (int i = 0; i < kNoiseIds; ++i) {
    const float u = (static_cast<float>(static_cast<int32_t>(words[i] >> 9)) + 0.5f) * 0x1p-23f;
    noise[i] = -normal_log(-normal_log(u));
  }
}

static void draw_row(const trireme::DrawTask& task, float* best_value, int32_t* best_id) {
  float best = kNoLogit;
  int64_t best_column = -1;
  const int64_t end_id = task.first_id + task.width;
  float scores[kNoiseIds];
  for (int64_t id = task.first_id / 4 * 4; id < end_id; id += kNoiseIds) {
    gumbel_noises(task, static_cast<uint32_t>(id / 4), scores);
    const int64_t first = id < task.first_id ? task.first_id : id;
    const int64_t end = id + kNoiseIds < end_id ? id + kNoiseIds : end_id;
    const float* logits = task.logits + (first - task.first_id);
    float* score = scores + (first - id);
    const int count = static_cast<int>(end - first);
    for (int i = 0; i < count; ++i) score[i] = logits[i] / task.temperature + score[i];
    for (int i = 0; i < count; ++i) {
      if (score[i] > best) {
        best = score[i];
        best_column = first + i;
      }
    }
  }
  *best_value = best;
  *best_id = static_cast<int32_t>(best_column);
}

// Sum of e^(logit - max) without NaN and -inf: 16 lanes over a leaf of 1,024 ids, lanes added by a
// tree, leaves in order.
static double exp_sum(const float* logits, int64_t width, float greatest, float* weights) {
  constexpr int64_t kLeafIds = 1024;
  const V16 shift = v_set(-greatest);
  double total = 0;
  V16 leaf = v_zero();
  for (int64_t at = 0; at < width; at += 16) {
    const int count = width - at < 16 ? static_cast<int>(width - at) : 16;
    float logit[16], weight[16];
    for (int i = 0; i < 16; ++i) logit[i] = i < count ? logits[at + i] : kNoLogit;
    v_store(weight, v_exp(v_add(v_load(logit), shift)));
    for (int i = 0; i < 16; ++i) weight[i] = logit[i] > kNoLogit ? weight[i] : 0.0f;
    leaf = v_add(leaf, v_load(weight));
    for (int i = 0; i < count && weights != nullptr; ++i) weights[at + i] = weight[i];
    if ((at + 16) % kLeafIds == 0 || at + 16 >= width) {
      total += static_cast<double>(v_sum(leaf));
      leaf = v_zero();
    }
  }
  return total;
}

}  // namespace
