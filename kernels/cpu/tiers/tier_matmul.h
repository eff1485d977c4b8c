// y = x W^T over panels of 32 columns, for the tier files alone (see tier.h).
//
// Per leaf, every output is one chain of multiply-adds over k in ascending order, whatever the
// height of its tile; leaves are added by a balanced binary tree. Parallelism comes from columns,
// never from k, which makes the result batch-invariant.
#pragma once

#include "kernels/cpu/tiers/tier.h"
#include "kernels/cpu/tiers/vector16.h"

namespace {

using trireme::kMaxLeaves;
using trireme::kMaxTileRows;
using trireme::kPanelColumns;
using trireme::MatmulTask;

#if defined(__AVX512F__)
constexpr int kTileRows = kMaxTileRows;
#elif defined(__AVX2__)
constexpr int kTileRows = 3;  // 4 accumulators per row, 16 registers
#else
constexpr int kTileRows = 1;  // 8 accumulators per row, 16 registers
#endif

struct Tile {
  V16 sum[kTileRows][2];
};

// One leaf [begin, end) of one panel. x and panel point at k = 0.
template <int kRows>
static inline void leaf_bf16(const uint16_t* x,
                             int64_t x_stride,
                             const uint16_t* panel,
                             int64_t begin,
                             int64_t end,
                             Tile& tile) {
  V16 sum[kRows][2];
  for (int row = 0; row < kRows; ++row) sum[row][0] = sum[row][1] = v_zero();
  for (int64_t k = begin; k < end; k += 2) {
    const uint16_t* weights = panel + k * kPanelColumns;
#if defined(__AVX512BF16__)
    const __m512bh w0 = (__m512bh)_mm512_loadu_si512(weights);
    const __m512bh w1 = (__m512bh)_mm512_loadu_si512(weights + 32);
    for (int row = 0; row < kRows; ++row) {
      int32_t pair;
      __builtin_memcpy(&pair, x + row * x_stride + k, sizeof pair);
      const __m512bh a = (__m512bh)_mm512_set1_epi32(pair);
      sum[row][0].v = _mm512_dpbf16_ps(sum[row][0].v, w0, a);
      sum[row][1].v = _mm512_dpbf16_ps(sum[row][1].v, w1, a);
    }
#else
    const V16 even0 = v_even_bf16(weights), odd0 = v_odd_bf16(weights);
    const V16 even1 = v_even_bf16(weights + 32), odd1 = v_odd_bf16(weights + 32);
    for (int row = 0; row < kRows; ++row) {
      const V16 a = v_set(widen_bf16(x[row * x_stride + k]));
      const V16 b = v_set(widen_bf16(x[row * x_stride + k + 1]));
      sum[row][0] = v_madd(odd0, b, v_madd(even0, a, sum[row][0]));
      sum[row][1] = v_madd(odd1, b, v_madd(even1, a, sum[row][1]));
    }
#endif
  }
  for (int row = 0; row < kRows; ++row) {
    tile.sum[row][0] = sum[row][0];
    tile.sum[row][1] = sum[row][1];
  }
}

template <int kRows>
static inline void leaf_f32(
    const float* x, int64_t x_stride, const float* panel, int64_t begin, int64_t end, Tile& tile) {
  V16 sum[kRows][2];
  for (int row = 0; row < kRows; ++row) sum[row][0] = sum[row][1] = v_zero();
  for (int64_t k = begin; k < end; ++k) {
    const V16 w0 = v_load(panel + k * kPanelColumns);
    const V16 w1 = v_load(panel + k * kPanelColumns + 16);
    for (int row = 0; row < kRows; ++row) {
      const V16 a = v_set(x[row * x_stride + k]);
      sum[row][0] = v_madd(w0, a, sum[row][0]);
      sum[row][1] = v_madd(w1, a, sum[row][1]);
    }
  }
  for (int row = 0; row < kRows; ++row) {
    tile.sum[row][0] = sum[row][0];
    tile.sum[row][1] = sum[row][1];
  }
}

template <int kRows>
static inline void leaf_of(const uint16_t* x,
                           int64_t stride,
                           const uint16_t* panel,
                           int64_t begin,
                           int64_t end,
                           Tile& tile) {
  leaf_bf16<kRows>(x, stride, panel, begin, end, tile);
}
template <int kRows>
static inline void leaf_of(
    const float* x, int64_t stride, const float* panel, int64_t begin, int64_t end, Tile& tile) {
  leaf_f32<kRows>(x, stride, panel, begin, end, tile);
}

// silu(gate) * up of one vector each.
static inline V16 silu_gate(V16 gate, V16 up) {
  const V16 e = v_exp(v_mul(gate, v_set(-1.0f)));
  return v_mul(v_div(gate, v_add(v_set(1.0f), e)), up);
}

// Bias, activation and the rounding of one row of a panel.
static inline void finish_row(
    const MatmulTask& task, int64_t panel, int64_t row, V16 low, V16 high) {
  const int64_t column = panel * kPanelColumns;
  if (task.bias != nullptr) {
    low = v_add(low, v_load(task.bias + column));
    high = v_add(high, v_load(task.bias + column + 16));
  }
  if (task.silu_gate) {
    const int64_t first = panel * 16;
    const int64_t left = task.n / 2 - first;
    store_row(task.out,
              row * task.out_stride + first,
              task.out_is_bf16,
              silu_gate(low, high),
              left < 16 ? static_cast<int>(left) : 16);
    return;
  }
  const int64_t left = task.n - column;
  store_row(task.out,
            row * task.out_stride + column,
            task.out_is_bf16,
            low,
            left < 16 ? static_cast<int>(left) : 16);
  if (left > 16) {
    store_row(task.out,
              row * task.out_stride + column + 16,
              task.out_is_bf16,
              high,
              left < 32 ? static_cast<int>(left - 16) : 16);
  }
}

template <int kRows, class Element>
static void tile_rows(const MatmulTask& task, int64_t first_row, int64_t panel) {
  const Element* x = static_cast<const Element*>(task.x) + first_row * task.x_stride;
  const Element* weights = static_cast<const Element*>(task.panels) + panel * task.panel_elements;
  Tile leaves[kMaxLeaves];
  int64_t begin = 0;
  for (int leaf = 0; leaf < task.num_leaves; ++leaf) {
    leaf_of<kRows>(x, task.x_stride, weights, begin, task.leaf_ends[leaf], leaves[leaf]);
    begin = task.leaf_ends[leaf];
  }
  for (int distance = 1; distance < task.num_leaves; distance *= 2) {
    for (int leaf = 0; leaf < task.num_leaves; leaf += 2 * distance) {
      for (int row = 0; row < kRows; ++row) {
        for (int half = 0; half < 2; ++half) {
          leaves[leaf].sum[row][half] =
              v_add(leaves[leaf].sum[row][half], leaves[leaf + distance].sum[row][half]);
        }
      }
    }
  }
  for (int row = 0; row < kRows; ++row) {
    finish_row(task, panel, first_row + row, leaves[0].sum[row][0], leaves[0].sum[row][1]);
  }
}

template <class Element>
static void tile_of_height(const MatmulTask& task, int64_t row, int64_t panel, int height) {
  switch (height) {
    case 1:
      return tile_rows<1, Element>(task, row, panel);
#if defined(__AVX2__)
    case 2:
      return tile_rows<2, Element>(task, row, panel);
    case 3:
      return tile_rows<3, Element>(task, row, panel);
#endif
#if defined(__AVX512F__)
    case 4:
      return tile_rows<4, Element>(task, row, panel);
    case 5:
      return tile_rows<5, Element>(task, row, panel);
    case 6:
      return tile_rows<6, Element>(task, row, panel);
    case 7:
      return tile_rows<7, Element>(task, row, panel);
    case 8:
      return tile_rows<8, Element>(task, row, panel);
    case 9:
      return tile_rows<9, Element>(task, row, panel);
    case 10:
      return tile_rows<10, Element>(task, row, panel);
    case 11:
      return tile_rows<11, Element>(task, row, panel);
    case 12:
      return tile_rows<12, Element>(task, row, panel);
#endif
    default:
      __builtin_trap();
  }
}

// Rows form strips of even height (16 = 8 + 8, never 12 + 4); strips form sets whose x fits half of
// L2, so that a panel is read from memory once per set.
template <class Element>
static void matmul(const MatmulTask& task) {
  constexpr int64_t kSetBytes = 480 << 10;
  if (task.num_rows == 0) return;
  const int64_t row_bytes = task.leaf_ends[task.num_leaves - 1] * sizeof(Element) + 1;
  const int64_t num_strips = (task.num_rows + kTileRows - 1) / kTileRows;
  int64_t set_strips = kSetBytes / (row_bytes * kTileRows);
  if (set_strips < 1) set_strips = 1;
  for (int64_t set = 0; set < num_strips; set += set_strips) {
    const int64_t set_end = set + set_strips < num_strips ? set + set_strips : num_strips;
    for (int64_t panel = task.first_panel; panel < task.end_panel; ++panel) {
      for (int64_t strip = set; strip < set_end; ++strip) {
        const int64_t row = task.num_rows * strip / num_strips;
        const int64_t next = task.num_rows * (strip + 1) / num_strips;
        tile_of_height<Element>(task, row, panel, static_cast<int>(next - row));
      }
    }
  }
}

}  // namespace
