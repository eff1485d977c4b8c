// One row of add_norm: residual, statistic, output. Shared by add_norm.cu and the tail of a matmul
// (linear_tail.h), which therefore gives the same bits. Formula and order of the sums: add_norm.cu.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/backend.h"
#include "kernels/cuda/arch.h"
#include "kernels/cuda/chunk.h"
#include "kernels/cuda/norm_shape.h"

namespace trireme::cuda {

struct NormTask {
  uint16_t* residual;
  int64_t residual_stride;
  const uint16_t* delta;  // or null
  int64_t delta_stride;
  const float* delta_bias;  // or null
  const float* weight;
  const float* bias;  // or null
  std::byte* out;     // or null
  int64_t out_stride;
  int32_t out_is_float;
  int32_t is_layer_norm;
  float epsilon;
  float weight_offset;
  int32_t width;
  int32_t rows;
};

// Checks the shapes and makes the arguments of a launch.
NormTask norm_task(const Tensor& residual,
                   const Tensor* delta,
                   Vector delta_bias,
                   const Norm& norm,
                   const Tensor& out,
                   DType type);

// Per statistic, the sums of the warps.
struct NormShared {
  float sums[kMaxNormThreads / 32];
  float squares[kMaxNormThreads / 32];
};

// The sum over the threads of a row, with the same bits in each of them. Further warps of the block
// add nothing and get the sum too.
__device__ __forceinline__ float row_sum(float value, float* warps, int32_t num_warps) {
#pragma unroll
  for (int step = 16; step > 0; step /= 2) value += __shfl_xor_sync(0xffffffffu, value, step);
  if (num_warps == 1) return value;
  if (threadIdx.x % 32 == 0) warps[threadIdx.x / 32] = value;
  __syncthreads();
  float total = warps[0];
  for (int32_t warp = 1; warp < num_warps; ++warp) total += warps[warp];
  return total;
}

// The chunks of a thread, 16 bytes each.
template <int kChunks>
using RowChunks = uint4[kChunks];
template <int kChunks>
using ChunkWeights = float[kChunks][kChunk];

// Loads the chunks first, first + threads, ... of a row of `width` elements, zero past its end.
template <int kChunks>
__device__ __forceinline__ void load_chunks(
    const uint16_t* row, int32_t first, int32_t threads, int32_t width, RowChunks<kChunks>& to) {
#pragma unroll
  for (int i = 0; i < kChunks; ++i) {
    const int32_t chunk = first + i * threads;
    to[i] = {0, 0, 0, 0};
    if (chunk * kChunk < width) to[i] = reinterpret_cast<const uint4*>(row)[chunk];
  }
}
template <int kChunks>
__device__ __forceinline__ void load_chunks(
    const float* row, int32_t first, int32_t threads, int32_t width, ChunkWeights<kChunks>& to) {
#pragma unroll
  for (int i = 0; i < kChunks; ++i) {
    const int32_t chunk = first + i * threads;
    load8(row + chunk * kChunk, width - chunk * kChunk, to[i]);
  }
}

// Adds delta and bias to a chunk of the residual, rounds the sum to its type and stores it there.
template <class E>
__device__ __forceinline__ void add_to_chunk(const NormTask& task,
                                             int64_t row,
                                             int32_t chunk,
                                             int32_t valid,
                                             const uint4& delta,
                                             uint4& residual) {
  if (valid <= 0 || (task.delta == nullptr && task.delta_bias == nullptr)) return;
  float x[kChunk], more[kChunk];
  unpack8<E>(residual, x);
  if (task.delta != nullptr) {
    unpack8<E>(delta, more);
#pragma unroll
    for (int i = 0; i < kChunk; ++i) x[i] += more[i];
  }
  if (task.delta_bias != nullptr) {
    load8(task.delta_bias + chunk * kChunk, valid, more);
#pragma unroll
    for (int i = 0; i < kChunk; ++i) x[i] += more[i];
  }
  residual = pack8<E>(x);
  store8(task.residual + row * task.residual_stride + chunk * kChunk, valid, residual);
}

template <class E>
__device__ __forceinline__ void write_chunk(
    const NormTask& task, int64_t row, int32_t chunk, int32_t valid, const float (&y)[kChunk]) {
  if (task.out_is_float) {
    auto* out = reinterpret_cast<float*>(task.out) + row * task.out_stride;
    store8(out + chunk * kChunk, valid, y);
  } else {
    auto* out = reinterpret_cast<uint16_t*>(task.out) + row * task.out_stride;
    store8(out + chunk * kChunk, valid, pack8<E>(y));
  }
}

template <class E>
__device__ __forceinline__ void normalise_chunk(const NormTask& task,
                                                int64_t row,
                                                int32_t chunk,
                                                float2 mean_and_scale,
                                                const float (&weight)[kChunk],
                                                const uint4& packed) {
  const int32_t valid = task.width - chunk * kChunk;
  float x[kChunk], y[kChunk];
  unpack8<E>(packed, x);
#pragma unroll
  for (int i = 0; i < kChunk; ++i) {
    y[i] = (x[i] - mean_and_scale.x) * mean_and_scale.y * (weight[i] + task.weight_offset);
  }
  if (task.bias != nullptr) {
    float bias[kChunk];
    load8(task.bias + chunk * kChunk, valid, bias);
#pragma unroll
    for (int i = 0; i < kChunk; ++i) y[i] += bias[i];
  }
  write_chunk<E>(task, row, chunk, valid, y);
}

// The sum of the chunk's first `valid` elements, added to `sum` one by one.
template <class E>
__device__ __forceinline__ float add_elements(const uint4& packed, int32_t valid, float sum) {
  float x[kChunk];
  unpack8<E>(packed, x);
#pragma unroll
  for (int e = 0; e < kChunk; ++e) sum += e < valid ? x[e] : 0.0f;
  return sum;
}

// The same of the squared deviations from `mean`.
template <class E>
__device__ __forceinline__ float add_squares(const uint4& packed,
                                             int32_t valid,
                                             float mean,
                                             float squares) {
  float x[kChunk];
  unpack8<E>(packed, x);
#pragma unroll
  for (int e = 0; e < kChunk; ++e) {
    const float deviation = e < valid ? x[e] - mean : 0.0f;
    squares = fmaf(deviation, deviation, squares);
  }
  return squares;
}

__device__ __forceinline__ float norm_scale(const NormTask& task, float squares) {
  return 1.0f / sqrtf(squares / static_cast<float>(task.width) + task.epsilon);
}

// The first chunk of this thread: past the row's end for threads beyond those of the row.
__device__ __forceinline__ int32_t first_chunk(const NormTask& task, int32_t threads) {
  const auto thread = static_cast<int32_t>(threadIdx.x);
  return thread < threads ? thread : num_chunks(task.width);
}

// Processes one row with the first `threads` threads of a block (along x); all threads of the block
// take part. `x` holds the residual and `delta` the delta, both loaded before; so are the weights
// unless `weights` is null. `shared` belongs to this row.
template <class E, int kChunks>
__device__ __forceinline__ void norm_loaded_row(const NormTask& task,
                                                int64_t row,
                                                int32_t threads,
                                                RowChunks<kChunks>& x,
                                                const RowChunks<kChunks>& delta,
                                                const ChunkWeights<kChunks>* weights,
                                                NormShared& shared) {
  const int32_t first = first_chunk(task, threads);
  float sum = 0, squares = 0;
#pragma unroll
  for (int i = 0; i < kChunks; ++i) {
    const int32_t chunk = first + i * threads;
    const int32_t valid = task.width - chunk * kChunk;
    add_to_chunk<E>(task, row, chunk, valid, delta[i], x[i]);
    if (task.is_layer_norm) sum = add_elements<E>(x[i], valid, sum);
  }
  if (task.out == nullptr) return;
  float mean = 0;
  if (task.is_layer_norm) {
    mean = row_sum(sum, shared.sums, threads / 32) / static_cast<float>(task.width);
  }
#pragma unroll
  for (int i = 0; i < kChunks; ++i) {
    squares = add_squares<E>(x[i], task.width - (first + i * threads) * kChunk, mean, squares);
  }
  const float scale = norm_scale(task, row_sum(squares, shared.squares, threads / 32));
#pragma unroll
  for (int i = 0; i < kChunks; ++i) {
    const int32_t chunk = first + i * threads;
    if (chunk * kChunk >= task.width) continue;
    float weight[kChunk];
    if (weights == nullptr) {
      load8(task.weight + chunk * kChunk, task.width - chunk * kChunk, weight);
    } else {
#pragma unroll
      for (int e = 0; e < kChunk; ++e) weight[e] = (*weights)[i][e];
    }
    normalise_chunk<E>(task, row, chunk, {mean, scale}, weight, x[i]);
  }
}

// A row of any width, read again for each pass by the thread that wrote it.
template <class E>
__device__ __forceinline__ void norm_wide_row(const NormTask& task,
                                              int64_t row,
                                              int32_t threads,
                                              NormShared& shared) {
  const auto thread = static_cast<int32_t>(threadIdx.x);
  const int32_t chunks = num_chunks(task.width);
  const auto* residual = reinterpret_cast<const uint4*>(task.residual + row * task.residual_stride);
  const auto* delta = reinterpret_cast<const uint4*>(task.delta + row * task.delta_stride);
  float sum = 0, squares = 0;
  for (int32_t chunk = thread; chunk < chunks; chunk += threads) {
    const int32_t valid = task.width - chunk * kChunk;
    uint4 x = residual[chunk];
    const uint4 more = task.delta == nullptr ? uint4{0, 0, 0, 0} : delta[chunk];
    add_to_chunk<E>(task, row, chunk, valid, more, x);
    if (task.is_layer_norm) sum = add_elements<E>(x, valid, sum);
  }
  if (task.out == nullptr) return;
  float mean = 0;
  if (task.is_layer_norm) {
    mean = row_sum(sum, shared.sums, threads / 32) / static_cast<float>(task.width);
  }
  for (int32_t chunk = thread; chunk < chunks; chunk += threads) {
    squares = add_squares<E>(residual[chunk], task.width - chunk * kChunk, mean, squares);
  }
  const float scale = norm_scale(task, row_sum(squares, shared.squares, threads / 32));
  for (int32_t chunk = thread; chunk < chunks; chunk += threads) {
    float weight[kChunk];
    load8(task.weight + chunk * kChunk, task.width - chunk * kChunk, weight);
    normalise_chunk<E>(task, row, chunk, {mean, scale}, weight, residual[chunk]);
  }
}

// kChunks > 0: the row stays in registers; 0: norm_wide_row().
template <class E, int kChunks>
__device__ __forceinline__ void norm_row(const NormTask& task,
                                         int64_t row,
                                         int32_t threads,
                                         NormShared& shared) {
  if constexpr (kChunks == 0) {
    norm_wide_row<E>(task, row, threads, shared);
  } else {
    const int32_t first = first_chunk(task, threads);
    RowChunks<kChunks> x, delta = {};
    load_chunks(task.residual + row * task.residual_stride, first, threads, task.width, x);
    if (task.delta != nullptr) {
      load_chunks(task.delta + row * task.delta_stride, first, threads, task.width, delta);
    }
    norm_loaded_row<E, kChunks>(task, row, threads, x, delta, nullptr, shared);
  }
}

}  // namespace trireme::cuda
