// Paged attention of the query heads that share one KV head, for the tier files alone (see tier.h).
//
// Online softmax (Milakov & Gimelshein 2018) over whole pages in ascending order. K of a page lies
// [head_dim][32 tokens] and V [32 tokens][head_dim], so that scores and outputs are both a product
// of a few queries' rows with a block of 32 columns, as in tier_matmul.h: no sum runs across lanes,
// and a query's chains do not depend on the other queries of its tile. Tokens after a row's own, or
// before its window, are never multiplied with V.
#pragma once

#include "kernels/cpu/tiers/tier.h"
#include "kernels/cpu/tiers/tier_matmul.h"
#include "kernels/cpu/tiers/vector16.h"

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

// sum[q][:] += a[q][k] b[k][:] for k in [begin, end): kHalves vectors of columns, the last with
// `count` columns. Row q of a is a + q * a_stride, row q of sum is sums + q * sum_stride.
template <int kQueries, int kHalves, class Element>
static inline void add_product(const float* a,
                               int64_t a_stride,
                               const Element* b,
                               int64_t b_stride,
                               int begin,
                               int end,
                               int count,
                               float* sums,
                               int64_t sum_stride) {
  V16 sum[kQueries][kHalves];
  for (int q = 0; q < kQueries; ++q) {
    for (int half = 0; half < kHalves; ++half) {
      sum[q][half] = v_load(sums + q * sum_stride + 16 * half);
    }
  }
  for (int k = begin; k < end; ++k) {
    V16 columns[kHalves];
    for (int half = 0; half < kHalves; ++half) {
      const Element* p = b + k * b_stride + 16 * half;
      columns[half] = half + 1 < kHalves ? load_kv(p) : load_kv_part(p, count);
    }
    for (int q = 0; q < kQueries; ++q) {
      const V16 value = v_set(a[q * a_stride + k]);
      for (int half = 0; half < kHalves; ++half) {
        sum[q][half] = v_madd(columns[half], value, sum[q][half]);
      }
    }
  }
  for (int q = 0; q < kQueries; ++q) {
    for (int half = 0; half < kHalves; ++half) {
      v_store(sums + q * sum_stride + 16 * half, sum[q][half]);
    }
  }
}

static inline void cap_scores(float* scores, float cap) {
  for (int half = 0; half < 2; ++half) {
    const V16 x = v_mul(v_load(scores + 16 * half), v_set(2 / cap));
    const V16 e = v_exp(x);  // tanh(y) = (e^2y - 1) / (e^2y + 1)
    const V16 t = v_div(v_add(e, v_set(-1.0f)), v_add(e, v_set(1.0f)));
    v_store(scores + 16 * half, v_mul(t, v_set(cap)));
  }
}

// State of one query: running maximum and sum of the softmax, and the tokens it sees.
struct QueryState {
  float greatest;
  float sum;
  int first;  // visible tokens of the current page: [first, end)
  int end;
};

struct PageTile {
  const AttentionTask* task;
  int64_t padded_dim;
  QueryState* states;  // of the tile's first query
  float* scores;       // [queries][kPageTokens]
  float* outs;         // [queries][padded_dim]
};

// Turns scores into weights e^(score - max), and rescales the earlier sums to the new maximum.
static inline void soften(const PageTile& tile, int query) {
  QueryState& state = tile.states[query];
  float* scores = tile.scores + query * kPageTokens;
  const V16 scale = v_set(tile.task->scale);
  v_store(scores, v_mul(v_load(scores), scale));
  v_store(scores + 16, v_mul(v_load(scores + 16), scale));
  if (tile.task->soft_cap > 0) cap_scores(scores, tile.task->soft_cap);
  for (int j = 0; j < state.first; ++j) scores[j] = kMasked;
  for (int j = state.end; j < kPageTokens; ++j) scores[j] = kMasked;
  const V16 low = v_load(scores), high = v_load(scores + 16);
  const float page_max = v_horizontal_max(v_max(low, high));
  const float greatest = page_max > state.greatest ? page_max : state.greatest;
  const V16 shift = v_set(-greatest);
  v_store(scores, v_exp(v_add(low, shift)));
  v_store(scores + 16, v_exp(v_add(high, shift)));
  for (int j = 0; j < state.first; ++j) scores[j] = 0;
  for (int j = state.end; j < kPageTokens; ++j) scores[j] = 0;
  const float page_sum = v_sum(v_add(v_load(scores), v_load(scores + 16)));
  if (greatest != state.greatest && state.sum != 0) {
    const V16 decay = v_exp(v_set(state.greatest - greatest));
    state.sum = state.sum * v_first(decay);
    float* out = tile.outs + query * tile.padded_dim;
    for (int64_t d = 0; d < tile.padded_dim; d += 16)
      v_store(out + d, v_mul(v_load(out + d), decay));
  }
  state.sum += page_sum;
  state.greatest = greatest;
}

// outs += weights V for tokens [begin, end) of a page.
template <int kQueries, class Element>
static inline void add_values(
    const PageTile& tile, const Element* values, int first_query, int begin, int end) {
  if (begin >= end) return;
  const int dim = tile.task->head_dim;
  const float* weights = tile.scores + first_query * kPageTokens;
  float* outs = tile.outs + first_query * tile.padded_dim;
  int d = 0;
  for (; d + 32 <= dim; d += 32) {
    add_product<kQueries, 2>(
        weights, kPageTokens, values + d, dim, begin, end, 16, outs + d, tile.padded_dim);
  }
  for (; d < dim; d += 16) {
    const int count = dim - d < 16 ? dim - d : 16;
    add_product<kQueries, 1>(
        weights, kPageTokens, values + d, dim, begin, end, count, outs + d, tile.padded_dim);
  }
}

// One page for `kQueries` neighbouring queries. Tokens that only some of them see are added per
// query, before and after those that all see, so that each query adds its tokens in ascending
// order.
template <int kQueries, class Element>
static void page_of_tile(const PageTile& tile,
                         const float* q,
                         const Element* keys,
                         const Element* values) {
  const int dim = tile.task->head_dim;
  for (int i = 0; i < kQueries * kPageTokens; ++i) tile.scores[i] = 0;
  add_product<kQueries, 2>(q, dim, keys, kPageTokens, 0, dim, 16, tile.scores, kPageTokens);
  int begin = 0, end = kPageTokens;
  for (int query = 0; query < kQueries; ++query) {
    soften(tile, query);
    const QueryState& state = tile.states[query];
    begin = state.first > begin ? state.first : begin;
    end = state.end < end ? state.end : end;
  }
  if (begin >= end) {
    for (int query = 0; query < kQueries; ++query) {
      const QueryState& state = tile.states[query];
      add_values<1>(tile, values, query, state.first, state.end);
    }
    return;
  }
  for (int query = 0; query < kQueries; ++query) {
    add_values<1>(tile, values, query, tile.states[query].first, begin);
  }
  add_values<kQueries>(tile, values, 0, begin, end);
  for (int query = 0; query < kQueries; ++query) {
    add_values<1>(tile, values, query, end, tile.states[query].end);
  }
}

template <class Element>
static void page_of_queries(const PageTile& tile,
                            int num_queries,
                            const float* q,
                            const Element* keys,
                            const Element* values) {
  switch (num_queries) {
    case 1:
      return page_of_tile<1>(tile, q, keys, values);
#if defined(__AVX2__)
    case 2:
      return page_of_tile<2>(tile, q, keys, values);
    case 3:
      return page_of_tile<3>(tile, q, keys, values);
#endif
#if defined(__AVX512F__)
    case 4:
      return page_of_tile<4>(tile, q, keys, values);
    case 5:
      return page_of_tile<5>(tile, q, keys, values);
    case 6:
      return page_of_tile<6>(tile, q, keys, values);
    case 7:
      return page_of_tile<7>(tile, q, keys, values);
    case 8:
      return page_of_tile<8>(tile, q, keys, values);
#endif
    default:
      __builtin_trap();
  }
}

#if defined(__AVX512F__)
constexpr int kQueryTile = 8;  // 16 accumulators; the other registers hold widened loads
#else
constexpr int kQueryTile = kTileRows;
#endif

// The first token that a row at `position` sees.
static inline int first_seen(const AttentionTask& task, int position) {
  return task.window > 0 && position >= task.window ? position - task.window + 1 : 0;
}

// Copies the task's queries to a dense [rows][heads][head_dim] and clears their states.
static inline void begin_queries(const AttentionTask& task, float* q, QueryState* states) {
  const int width = task.num_heads * task.head_dim;
  for (int row = 0; row < task.num_rows; ++row) {
    for (int i = 0; i < width; ++i) q[row * width + i] = task.q[row * task.q_stride + i];
  }
  for (int i = 0; i < task.num_rows * task.num_heads; ++i) states[i] = {kMasked, 0, 0, 0};
}

static inline void finish_queries(const AttentionTask& task,
                                  const QueryState* states,
                                  const float* outs,
                                  int64_t padded_dim) {
  for (int i = 0; i < task.num_rows * task.num_heads; ++i) {
    const V16 scale = v_set(1.0f / states[i].sum);
    const int64_t target =
        i / task.num_heads * task.out_stride + i % task.num_heads * task.head_dim;
    for (int d = 0; d < task.head_dim; d += 16) {
      store_row(task.out,
                target + d,
                task.out_is_bf16,
                v_mul(v_load(outs + i * padded_dim + d), scale),
                task.head_dim - d < 16 ? task.head_dim - d : 16);
    }
  }
}

template <class Element>
static void attend(const AttentionTask& task) {
  const int num_queries = task.num_rows * task.num_heads;
  const int64_t padded_dim = (task.head_dim + 15) / 16 * 16;
  auto* states = reinterpret_cast<QueryState*>(task.scratch);
  float* scores = task.scratch + int64_t{num_queries} * 4;
  float* outs = scores + int64_t{num_queries} * kPageTokens;
  float* q = outs + num_queries * padded_dim;
  begin_queries(task, q, states);
  for (int64_t i = 0; i < num_queries * padded_dim; ++i) outs[i] = 0;

  const int last_position = task.first_position + task.num_rows - 1;
  for (int page = first_seen(task, task.first_position) / kPageTokens;
       page <= last_position / kPageTokens;
       ++page) {
    const uint8_t* block = task.kv + task.page_row[page] * task.page_stride;
    const Element* keys = reinterpret_cast<const Element*>(block);
    const Element* values = reinterpret_cast<const Element*>(block + task.v_offset);
    const int begin = page * kPageTokens;
    // The rows that see this page are consecutive: from the row at its first token to the last row
    // whose window reaches back to it.
    int first_row = begin - task.first_position > 0 ? begin - task.first_position : 0;
    int end_row = first_row;
    for (; end_row < task.num_rows; ++end_row) {
      const int position = task.first_position + end_row;
      const int first = first_seen(task, position) - begin;
      if (first >= kPageTokens) break;
      const int end = position - begin + 1;
      for (int head = 0; head < task.num_heads; ++head) {
        QueryState& state = states[end_row * task.num_heads + head];
        state.first = first > 0 ? first : 0;
        state.end = end < kPageTokens ? end : kPageTokens;
      }
    }
    const int seen = (end_row - first_row) * task.num_heads;
    const int tiles = (seen + kQueryTile - 1) / kQueryTile;
    for (int tile = 0; tile < tiles; ++tile) {
      const int64_t query = first_row * task.num_heads + seen * tile / tiles;
      const int count = seen * (tile + 1) / tiles - seen * tile / tiles;
      const PageTile place = {&task,
                              padded_dim,
                              states + query,
                              scores + query * kPageTokens,
                              outs + query * padded_dim};
      page_of_queries(place, count, q + query * task.head_dim, keys, values);
    }
  }
  finish_queries(task, states, outs, padded_dim);
}

}  // namespace
