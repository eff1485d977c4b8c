// residual += delta + delta_bias; out = (residual - mean) / sqrt(variance + epsilon)
//                                        * (weight + offset) + bias
// with mean 0 for RMSNorm. The sum is rounded to the residual's type before anything is made of it.
//
// Layout: rows of a 16-bit type on 16 bytes, in chunks of eight; chunk c of a row belongs to thread
// c mod threads. Order of a statistic: a thread's chunks in ascending order, one chain; lanes by
// the xor tree 16, 8, 4, 2, 1; warps in ascending order. It depends on the width alone.
// Bound: bytes, 2 (2 + 1 + 1) width a row with a delta. Share of peak: not yet measured.
#include "base/check.h"
#include "kernels/cuda/arch.h"
#include "kernels/cuda/backend.h"
#include "kernels/cuda/chunk.h"
#include "kernels/cuda/launch.h"
#include "kernels/cuda/norm_shape.h"

namespace trireme::cuda {

namespace {

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

// Of each statistic the warps' parts.
struct NormShared {
  float sums[kMaxNormThreads / 32];
  float squares[kMaxNormThreads / 32];
};

// The sum over a row's threads, equal bits in each of them.
__device__ __forceinline__ float row_sum(float value, float* warps) {
#pragma unroll
  for (int step = 16; step > 0; step /= 2) value += __shfl_xor_sync(0xffffffffu, value, step);
  const int32_t num_warps = static_cast<int32_t>(blockDim.x) / 32;
  if (num_warps == 1) return value;
  if (threadIdx.x % 32 == 0) warps[threadIdx.x / 32] = value;
  __syncthreads();
  float total = warps[0];
  for (int32_t warp = 1; warp < num_warps; ++warp) total += warps[warp];
  return total;
}

// What stands in the row's chunk, zeros where `valid` elements end.
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

// Adds to the chunk what is to be added, and keeps it as the residual does.
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

// kChunks > 0: the row stays in registers; 0: a wide row is read again for each pass, by the thread
// that wrote it.
template <class E, int kChunks>
__global__ void __launch_bounds__(kMaxNormThreads) norm_row(NormTask task) {
  dependency_wait();
  auto& shared = shared_memory<NormShared>();
  const int64_t row = static_cast<int64_t>(blockIdx.x) * blockDim.y + threadIdx.y;
  if (row >= task.rows) return;  // a warp of its own
  const int32_t threads = static_cast<int32_t>(blockDim.x);
  const int32_t first = static_cast<int32_t>(threadIdx.x);
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
  const float mean = task.is_layer_norm ? row_sum(sum, shared.sums) / width : 0.0f;

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
  const float variance = row_sum(squares, shared.squares) / width;
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

template <class E>
void launch_norm(CudaQueue& queue, const NormTask& task) {
  const NormShape shape = norm_shape(task.width, task.rows);
  LaunchConfig config;
  config.block = {
      static_cast<unsigned>(shape.threads), static_cast<unsigned>(shape.rows_per_block), 1};
  config.grid.x =
      static_cast<unsigned>((task.rows + shape.rows_per_block - 1) / shape.rows_per_block);
  config.shared_bytes = sizeof(NormShared);
  const auto kernel = shape.chunks == 1   ? norm_row<E, 1>
                      : shape.chunks == 2 ? norm_row<E, 2>
                      : shape.chunks == 4 ? norm_row<E, 4>
                                          : norm_row<E, 0>;
  launch(queue, "add_norm", kernel, config, task);
}

bool is_aligned(const void* data) { return reinterpret_cast<uintptr_t>(data) % 16 == 0; }

bool has_aligned_rows(const Tensor& tensor) {
  return is_aligned(tensor.data) && tensor.row_stride % kChunk == 0;
}

}  // namespace

void CudaBackend::add_norm(Queue& queue,
                           Tensor residual,
                           const Tensor* delta,
                           Vector delta_bias,
                           const Norm& norm,
                           Tensor out) {
  const int64_t width = residual.columns;
  const bool has_out = out.data != nullptr;
  CHECK(residual.dtype == options_.dtype && has_aligned_rows(residual));
  CHECK(delta == nullptr || (delta->dtype == residual.dtype && delta->rows >= residual.rows &&
                             delta->columns == width && has_aligned_rows(*delta)));
  CHECK(delta_bias.data == nullptr || (delta_bias.size == width && is_aligned(delta_bias.data)));
  CHECK(!has_out || (out.columns == width && norm.weight.size == width && has_aligned_rows(out)));
  CHECK(!has_out || out.dtype == options_.dtype || out.dtype == DType::kFloat32);
  CHECK(is_aligned(norm.weight.data) && is_aligned(norm.bias.data));
  NormTask task;
  task.residual = residual.row<uint16_t>(0);
  task.residual_stride = residual.row_stride;
  task.delta = delta == nullptr ? nullptr : delta->row<uint16_t>(0);
  task.delta_stride = delta == nullptr ? 0 : delta->row_stride;
  task.delta_bias = delta_bias.data;
  task.weight = norm.weight.data;
  task.bias = norm.bias.data;
  task.out = out.data;
  task.out_stride = out.row_stride;
  task.out_is_float = out.dtype == DType::kFloat32;
  task.is_layer_norm = norm.kind == NormKind::kLayer;
  task.epsilon = norm.epsilon;
  task.weight_offset = norm.weight_offset;
  task.width = static_cast<int32_t>(width);
  task.rows = static_cast<int32_t>(residual.rows);
  if (task.rows == 0 || width == 0) return;
  is_bf16() ? launch_norm<Bf16>(cuda_queue(queue), task)
            : launch_norm<Fp16>(cuda_queue(queue), task);
}

}  // namespace trireme::cuda
