// Paged attention of the query heads that share one KV head, for the tier files alone (see tier.h).
//
// Online softmax (Milakov & Gimelshein 2018) over whole pages in ascending order. A page's scores
// are two vectors of 16 tokens: K lies [head_dim][32 tokens], so no sum runs across lanes; V lies
// [32 tokens][head_dim]. Tokens after the row's own, or before its window, are never multiplied.
#pragma once

#include "kernels/cpu/tier.h"
#include "kernels/cpu/vector16.h"

namespace {

using trireme::AttentionTask;
using trireme::kPageTokens;

constexpr float kMasked = -3.0e38f;

static inline V16 load_kv(const float* p) { return v_load(p); }
static inline V16 load_kv(const uint16_t* p) { return v_load_bf16(p); }
static inline float widen_kv(float value) { return value; }
static inline float widen_kv(uint16_t value) { return widen_bf16(value); }

// `count` values of a V row, the other lanes zero.
template <class Element>
static inline V16 load_kv_part(const Element* p, int count) {
  if (count == 16) return load_kv(p);
  float lanes[16] = {};
  for (int i = 0; i < count; ++i) lanes[i] = widen_kv(p[i]);
  return v_load(lanes);
}

static inline void cap_scores(float* scores, float cap) {
  for (int half = 0; half < 2; ++half) {
    const V16 x = v_mul(v_load(scores + 16 * half), v_set(2 / cap));
    const V16 e = v_exp(x);  // tanh(y) = (e^2y - 1) / (e^2y + 1)
    const V16 t = v_div(v_add(e, v_set(-1.0f)), v_add(e, v_set(1.0f)));
    v_store(scores + 16 * half, v_mul(t, v_set(cap)));
  }
}

struct HeadState {
  float greatest;
  float sum;
};

// q . K of one page for one head, scaled and masked: scores of tokens outside [first, end) are
// kMasked.
template <class Element>
static inline void page_scores(const AttentionTask& task,
                               const float* q,
                               const Element* keys,
                               int first,
                               int end,
                               float* scores) {
  V16 low = v_zero(), high = v_zero();
  for (int d = 0; d < task.head_dim; ++d) {
    const V16 value = v_set(q[d]);
    low = v_madd(load_kv(keys + d * kPageTokens), value, low);
    high = v_madd(load_kv(keys + d * kPageTokens + 16), value, high);
  }
  v_store(scores, v_mul(low, v_set(task.scale)));
  v_store(scores + 16, v_mul(high, v_set(task.scale)));
  if (task.soft_cap > 0) cap_scores(scores, task.soft_cap);
  for (int j = 0; j < first; ++j) scores[j] = kMasked;
  for (int j = end; j < kPageTokens; ++j) scores[j] = kMasked;
}

// Folds one page into (greatest, sum, out): out = out * e^(old - new) + sum_j p_j V_j.
template <class Element>
static inline void fold_page(const AttentionTask& task,
                             const Element* values,
                             int first,
                             int end,
                             float* scores,
                             HeadState& state,
                             float* out) {
  const V16 low = v_load(scores), high = v_load(scores + 16);
  const float page_greatest = v_greatest(v_max(low, high));
  const float greatest = page_greatest > state.greatest ? page_greatest : state.greatest;
  const V16 shift = v_set(-greatest);
  v_store(scores, v_exp(v_add(low, shift)));
  v_store(scores + 16, v_exp(v_add(high, shift)));
  for (int j = 0; j < first; ++j) scores[j] = 0;
  for (int j = end; j < kPageTokens; ++j) scores[j] = 0;
  float lanes[16];
  v_store(lanes, v_exp(v_set(state.greatest - greatest)));
  const float decay = state.sum == 0 ? 0 : lanes[0];
  state.sum = state.sum * decay + v_sum(v_add(v_load(scores), v_load(scores + 16)));
  state.greatest = greatest;
  for (int d = 0; d < task.head_dim; d += 16) {
    const int count = task.head_dim - d < 16 ? task.head_dim - d : 16;
    V16 sum = v_mul(v_load(out + d), v_set(decay));
    for (int j = first; j < end; ++j) {
      sum = v_madd(load_kv_part(values + j * task.head_dim + d, count), v_set(scores[j]), sum);
    }
    v_store(out + d, sum);
  }
}

template <class Element>
static void attend_row(const AttentionTask& task, int row) {
  const int padded_dim = (task.head_dim + 15) / 16 * 16;
  const int position = task.positions[row];
  const int first_token =
      task.window > 0 && position >= task.window ? position - task.window + 1 : 0;
  const float* q = task.q + row * task.q_stride;
  float* outs = task.scratch;
  float* scores = outs + task.num_heads * padded_dim;
  HeadState states[trireme::kMaxHeadGroup];
  for (int head = 0; head < task.num_heads; ++head) states[head] = {kMasked, 0};
  for (int i = 0; i < task.num_heads * padded_dim; ++i) outs[i] = 0;
  for (int page = first_token / kPageTokens; page <= position / kPageTokens; ++page) {
    const uint8_t* block = task.kv + task.page_row[page] * task.page_stride;
    const Element* keys = reinterpret_cast<const Element*>(block);
    const Element* values = reinterpret_cast<const Element*>(block + task.v_offset);
    const int begin = page * kPageTokens;
    const int first = first_token > begin ? first_token - begin : 0;
    const int end = position - begin + 1 < kPageTokens ? position - begin + 1 : kPageTokens;
    for (int head = 0; head < task.num_heads; ++head) {
      page_scores(task, q + head * task.head_dim, keys, first, end, scores);
      fold_page(task, values, first, end, scores, states[head], outs + head * padded_dim);
    }
  }
  for (int head = 0; head < task.num_heads; ++head) {
    const V16 scale = v_set(1.0f / states[head].sum);
    for (int d = 0; d < task.head_dim; d += 16) {
      const int count = task.head_dim - d < 16 ? task.head_dim - d : 16;
      store_row(task.out,
                row * task.out_stride + head * task.head_dim + d,
                task.out_is_bf16,
                v_mul(v_load(outs + head * padded_dim + d), scale),
                count);
    }
  }
}

template <class Element>
static void attend(const AttentionTask& task) {
  for (int row = 0; row < task.num_rows; ++row) attend_row<Element>(task, row);
}

}  // namespace
