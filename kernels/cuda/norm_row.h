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

// Loads a chunk of the row, zero past `valid` elements.
template <class E>
__device__ __forceinline__ void read_chunk(const uint16_t* row,
                                           int32_t chunk,
                                           int32_t valid,
                                           float (&x)[kChunk]) {
  uint4 packed = {0, 0, 0, 0};
  if (valid > 0) packed = reinterpret_cast<const uint4*>(row)[chunk];
  unpack8<E>(packed, x);
#pragma unroll
  for (int i = 0; i < kChunk; ++i) x[i] = i < valid ? x[i] : 0.0f;
}

// Adds delta and bias to the chunk, rounds the sum to the residual's type and stores it there.
template <class E>
__device__ __forceinline__ void add_to_chunk(
    const NormTask& task, int64_t row, int32_t chunk, int32_t valid, float (&x)[kChunk]) {
  if (valid <= 0 || (task.delta == nullptr && task.delta_bias == nullptr)) return;
  float more[kChunk];
  if (task.delta != nullptr) {
    read_chunk<E>(task.delta + row * task.delta_stride, chunk, valid, more);
#pragma unroll
    for (int i = 0; i < kChunk; ++i) x[i] += more[i];
  }
  if (task.delta_bias != nullptr) {
    load8(task.delta_bias + chunk * kChunk, valid, more);
#pragma unroll
    for (int i = 0; i < kChunk; ++i) x[i] += more[i];
  }
  const uint4 packed = pack8<E>(x);
  store8(task.residual + row * task.residual_stride + chunk * kChunk, valid, packed);
  unpack8<E>(packed, x);
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
                                                int32_t valid,
                                                float2 mean_and_scale,
                                                const float (&x)[kChunk]) {
  float weight[kChunk], y[kChunk];
  load8(task.weight + chunk * kChunk, valid, weight);
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

// Processes one row with the first `threads` threads of a block (along x); all threads of the block
// take part. kChunks > 0: the row stays in registers; 0: a wide row is read again for each pass, by
// the thread that wrote it. `shared` belongs to this row.
template <class E, int kChunks>
__device__ __forceinline__ void norm_row(const NormTask& task,
                                         int64_t row,
                                         int32_t threads,
                                         NormShared& shared) {
  const int32_t thread = static_cast<int32_t>(threadIdx.x);
  const int32_t first = thread < threads ? thread : num_chunks(task.width);  // past the end
  const int32_t rounds = kChunks > 0 ? kChunks : (num_chunks(task.width) + threads - 1) / threads;
  const uint16_t* residual = task.residual + row * task.residual_stride;
  float kept[kChunks > 0 ? kChunks : 1][kChunk];

  float sum = 0;
#pragma unroll
  for (int32_t i = 0; i < rounds; ++i) {
    const int32_t chunk = first + i * threads;
    const int32_t valid = task.width - chunk * kChunk;
    float(&x)[kChunk] = kept[kChunks > 0 ? i : 0];
    read_chunk<E>(residual, chunk, valid, x);
    add_to_chunk<E>(task, row, chunk, valid, x);
#pragma unroll
    for (int e = 0; e < kChunk; ++e) sum += e < valid ? x[e] : 0.0f;
  }
  if (task.out == nullptr) return;
  const float width = static_cast<float>(task.width);
  const float mean = task.is_layer_norm ? row_sum(sum, shared.sums, threads / 32) / width : 0.0f;

  float squares = 0;
#pragma unroll
  for (int32_t i = 0; i < rounds; ++i) {
    const int32_t chunk = first + i * threads;
    const int32_t valid = task.width - chunk * kChunk;
    float(&x)[kChunk] = kept[kChunks > 0 ? i : 0];
    if constexpr (kChunks == 0) read_chunk<E>(residual, chunk, valid, x);
#pragma unroll
    for (int e = 0; e < kChunk; ++e) {
      const float deviation = e < valid ? x[e] - mean : 0.0f;
      squares = fmaf(deviation, deviation, squares);
    }
  }
  const float variance = row_sum(squares, shared.squares, threads / 32) / width;
  const float scale = 1.0f / sqrtf(variance + task.epsilon);

#pragma unroll
  for (int32_t i = 0; i < rounds; ++i) {
    const int32_t chunk = first + i * threads;
    const int32_t valid = task.width - chunk * kChunk;
    float(&x)[kChunk] = kept[kChunks > 0 ? i : 0];
    if constexpr (kChunks == 0) read_chunk<E>(residual, chunk, valid, x);
    if (valid > 0) normalise_chunk<E>(task, row, chunk, valid, {mean, scale}, x);
  }
}

}  // namespace trireme::cuda
