// Arguments and epilogue of the matmul kernels linear*.cu: + bias, SiLU(gate) x up, rounding,
// store; or the store of a partial sum.
#pragma once

#include <cstdint>

#include "kernels/cuda/arch.h"
#include "kernels/cuda/chunk.h"

namespace trireme::cuda {

// Eight outputs of one token are the unit of every epilogue: 16 bytes of E; for a gate, 16 packed
// rows.
constexpr int32_t kOutputUnit = 8;

struct LinearTask {
  const uint16_t* x = nullptr;       // [rows, k], rows x_stride apart, 16-byte aligned
  const uint16_t* weight = nullptr;  // [padded_n, padded_k]
  const float* bias = nullptr;       // [n] in logical order, or null
  float* partials = nullptr;         // [split_k, rows, padded_n]
  void* out = nullptr;               // [rows, columns], rows out_stride apart; E or fp32
  int64_t x_stride = 0;
  int64_t out_stride = 0;
  int64_t padded_k = 0;
  int32_t rows = 0;
  int32_t k = 0;
  int32_t padded_n = 0;
  int32_t columns = 0;  // of the output
  int32_t row_tiles = 0;
  int32_t token_tiles = 0;
  int32_t num_strips = 0;
  int32_t chunk_strips = 0;
  int32_t split_k = 1;
  bool is_gated = false;
  bool out_is_fp32 = false;
  bool out_is_aligned = false;  // every unit is 16-byte aligned
};

// Packed rows of W per unit of outputs.
__device__ __forceinline__ int32_t unit_rows(const LinearTask& task) {
  return task.is_gated ? 2 * kOutputUnit : kOutputUnit;
}

__device__ __forceinline__ void read_unit(const float* from, float (&values)[kOutputUnit]) {
  const float4 low = *reinterpret_cast<const float4*>(from);
  const float4 high = *reinterpret_cast<const float4*>(from + 4);
  values[0] = low.x, values[1] = low.y, values[2] = low.z, values[3] = low.w;
  values[4] = high.x, values[5] = high.y, values[6] = high.z, values[7] = high.w;
}

__device__ __forceinline__ void write_unit(float* to, const float (&values)[kOutputUnit]) {
  store_grid(reinterpret_cast<float4*>(to), {values[0], values[1], values[2], values[3]});
  store_grid(reinterpret_cast<float4*>(to + 4), {values[4], values[5], values[6], values[7]});
}

// Stores outputs [column, column + 8) of `token` that exist.
template <class E>
__device__ __forceinline__ void store_unit(const LinearTask& task,
                                           int32_t token,
                                           int32_t column,
                                           const float (&values)[kOutputUnit]) {
  const int64_t at = token * task.out_stride + column;
  const bool is_whole = task.out_is_aligned && column + kOutputUnit <= task.columns;
  if (task.out_is_fp32) {
    float* to = static_cast<float*>(task.out) + at;
    if (is_whole) return write_unit(to, values);
#pragma unroll
    for (int i = 0; i < kOutputUnit; ++i) {
      if (column + i < task.columns) store_grid(to + i, values[i]);
    }
    return;
  }
  uint16_t* to = static_cast<uint16_t*>(task.out) + at;
  if (is_whole) {
    store_grid(reinterpret_cast<uint4*>(to), pack8<E>(values));
    return;
  }
#pragma unroll
  for (int i = 0; i < kOutputUnit; ++i) {
    if (column + i < task.columns) store_grid(to + i, narrow<E>(values[i]));
  }
}

__device__ __forceinline__ void add_bias(const LinearTask& task,
                                         int32_t first,
                                         int32_t column,
                                         float (&values)[kOutputUnit]) {
  if (task.bias == nullptr) return;
#pragma unroll
  for (int i = 0; i < kOutputUnit; ++i) {
    if (column + i < task.columns) values[i] += task.bias[first + column + i];
  }
}

// Applies the epilogue to the sums of packed rows [row, row + unit_rows) of one token, which lie at
// `sums`, 16-byte aligned, and stores the outputs. `row` is a multiple of unit_rows.
template <class E>
__device__ __forceinline__ void finish_unit(const LinearTask& task,
                                            int32_t token,
                                            int32_t row,
                                            const float* sums) {
  const int32_t column = task.is_gated ? row / 2 : row;
  if (column >= task.columns) return;
  float values[kOutputUnit];
  read_unit(sums, values);
  add_bias(task, 0, column, values);
  if (task.is_gated) {
    float up[kOutputUnit];
    read_unit(sums + kOutputUnit, up);
    add_bias(task, task.columns, column, up);
#pragma unroll
    for (int i = 0; i < kOutputUnit; ++i) {
      values[i] = values[i] / (1.0f + expf(-values[i])) * up[i];
    }
  }
  store_unit<E>(task, token, column, values);
}

}  // namespace trireme::cuda
