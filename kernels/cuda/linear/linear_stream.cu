// y = x W^T for up to 16 rows of x, at the rate at which W streams from memory.
//
// Layout: a block takes 16 or 32 rows of W; its eight warps divide K, strips of 64 in turn, and
// their sums are added in the warps' order. W goes from memory straight to registers, eight 16-byte
// loads per lane ahead of their use: 4 KiB per warp, 64 KiB per SM, more than bandwidth times
// latency (36 KiB). The 16 bytes of a lane are eight columns of one row, not the two pairs of mma's
// operand layout; x is loaded the same way, so this only permutes the columns within a sum: columns
// 8 q .. 8 q + 3 of each 32 go to the first mma, 8 q + 4 .. 8 q + 7 to the second.
//
// x adds at most half as many bytes; blocks of one SM read the same strips of it at about the same
// time, so L1 serves most of it. With mma, rows 2 to 16 cost no additional instruction, whereas
// fmaf would cost one per row.
//
// A launch may have a tail (linear_tail.h): the norm or the heads that follow the matmul.
//
// Bound: bytes of W. Share of peak: not yet measured.

#include <type_traits>

#include "base/check.h"
#include "kernels/cuda/arch.h"
#include "kernels/cuda/launch.h"
#include "kernels/cuda/linear/linear_kernels.h"
#include "kernels/cuda/linear/linear_tail.h"

namespace trireme::cuda {

namespace {

constexpr int kThreads = 32 * kStreamWarps;
static_assert(kMaxTailHeads <= kArrivalCounters);

// row_mmas x 16 rows of W, token_mmas x 8 tokens.
template <int row_mmas, int token_mmas>
struct StreamTile {
  static constexpr int kRowMmas = row_mmas;
  static constexpr int kTokenMmas = token_mmas;
  static constexpr int kRows = 16 * row_mmas;
  static constexpr int kTokens = 8 * token_mmas;
  static constexpr int kStrips = 2 / row_mmas;  // loaded at once: eight loads of W per lane
  static constexpr int kPitch = kRows + 4;
};

template <class T>
using WarpSums = float[kStreamWarps][T::kTokens][T::kPitch];

// The tail begins once the block's sums have been read.
template <class T, class Tail>
union StreamShared {
  WarpSums<T> sums;
  typename Tail::Shared tail;
};

// Registers of a lane's loads: (strips x) halves of 32 columns x rows or tokens lane / 4 + 8 i.
template <class T>
using Weights = uint4[T::kStrips][2][2 * T::kRowMmas];
template <class T>
using Inputs = uint4[2][T::kTokenMmas];

template <class T>
__device__ __forceinline__ void load_weight(const LinearTask& task,
                                            const uint16_t* weight,
                                            int32_t strip,
                                            Weights<T>& loaded) {
#pragma unroll
  for (int s = 0; s < T::kStrips; ++s) {
    const int32_t at = (strip + s * kStreamWarps) * kStripColumns;
    if (strip + s * kStreamWarps >= task.num_strips) continue;
#pragma unroll
    for (int half = 0; half < 2; ++half) {
#pragma unroll
      for (int i = 0; i < 2 * T::kRowMmas; ++i) {
        loaded[s][half][i] = load_once(weight + 8 * i * task.padded_k + at + 32 * half);
      }
    }
  }
}

// The first `count` of two elements; the others become zero.
__device__ __forceinline__ uint32_t keep_first(uint32_t pair, int32_t count) {
  return count >= 2 ? pair : count == 1 ? pair & 0xffffu : 0u;
}

// Eight columns of a token from `column` on; zero from k on and for tokens past the end.
__device__ __forceinline__ uint4 load_columns(const LinearTask& task,
                                              int32_t token,
                                              int32_t column) {
  const int32_t left = task.k - column;
  if (token >= task.rows || left <= 0) return {0, 0, 0, 0};
  const uint4 value = *reinterpret_cast<const uint4*>(task.x + token * task.x_stride + column);
  return {keep_first(value.x, left),
          keep_first(value.y, left - 2),
          keep_first(value.z, left - 4),
          keep_first(value.w, left - 6)};
}

template <class T>
__device__ __forceinline__ void load_x(const LinearTask& task, int32_t strip, Inputs<T>& loaded) {
  const int lane = threadIdx.x % 32;
#pragma unroll
  for (int half = 0; half < 2; ++half) {
    const int32_t column = strip * kStripColumns + 32 * half + lane % 4 * 8;
#pragma unroll
    for (int j = 0; j < T::kTokenMmas; ++j) {
      loaded[half][j] = load_columns(task, lane / 4 + 8 * j, column);
    }
  }
}

template <class T>
__device__ __forceinline__ void copy(const Weights<T>& from, Weights<T>& to) {
#pragma unroll
  for (int s = 0; s < T::kStrips; ++s) {
#pragma unroll
    for (int half = 0; half < 2; ++half) {
#pragma unroll
      for (int i = 0; i < 2 * T::kRowMmas; ++i) to[s][half][i] = from[s][half][i];
    }
  }
}

template <class T>
using Sums = float[T::kRowMmas][T::kTokenMmas][4];

// sums += W x^T over the strips whose weights are loaded; x is loaded here, from L1 and L2.
template <class E, class T>
__device__ __forceinline__ void multiply(const LinearTask& task,
                                         int32_t first_strip,
                                         const Weights<T>& weights,
                                         Sums<T>& sums) {
#pragma unroll
  for (int s = 0; s < T::kStrips; ++s) {
    const int32_t strip = first_strip + s * kStreamWarps;
    if (strip >= task.num_strips) continue;
    Inputs<T> inputs;
    load_x<T>(task, strip, inputs);
#pragma unroll
    for (int half = 0; half < 2; ++half) {
#pragma unroll
      for (int i = 0; i < T::kRowMmas; ++i) {
        const uint4 upper = weights[s][half][2 * i];
        const uint4 lower = weights[s][half][2 * i + 1];
        const uint32_t first[4] = {upper.x, lower.x, upper.y, lower.y};
        const uint32_t second[4] = {upper.z, lower.z, upper.w, lower.w};
#pragma unroll
        for (int j = 0; j < T::kTokenMmas; ++j) {
          const uint4 x = inputs[half][j];
          const uint32_t low[2] = {x.x, x.y};
          const uint32_t high[2] = {x.z, x.w};
          mma_16x8x16<E>(sums[i][j], first, low);
          mma_16x8x16<E>(sums[i][j], second, high);
        }
      }
    }
  }
}

// Adds the warps' sums in order and applies the epilogue, one unit of outputs per thread.
template <class E, class T>
__device__ __forceinline__ void finish_block(const LinearTask& task,
                                             int32_t first_row,
                                             WarpSums<T>& sums) {
  const int unit = unit_rows(task);
  const int units = T::kRows / unit;
  for (int index = threadIdx.x; index < T::kTokens * units; index += kThreads) {
    const int token = index / units;
    const int row = index % units * unit;
    if (token >= task.rows) continue;
    float* total = &sums[0][token][row];
    for (int i = 0; i < unit; ++i) {
      float sum = 0;
#pragma unroll
      for (int warp = 0; warp < kStreamWarps; ++warp) sum += sums[warp][token][row + i];
      total[i] = sum;  // only this thread reads it
    }
    finish_unit<E>(task, token, first_row + row, total);
  }
}

template <class E, class T, class Tail>
__global__ void __launch_bounds__(kThreads, 2)
    linear_stream(LinearTask task, const __grid_constant__ Tail tail) {
  auto& shared = shared_memory<StreamShared<T, Tail>>();
  const int lane = threadIdx.x % 32;
  const int warp = threadIdx.x / 32;
  const int32_t first_row = static_cast<int32_t>(blockIdx.x) * T::kRows;
  const uint16_t* weight = task.weight + (first_row + lane / 4) * task.padded_k + lane % 4 * 8;
  constexpr int32_t kStride = T::kStrips * kStreamWarps;

  Sums<T> sums;
#pragma unroll
  for (int i = 0; i < T::kRowMmas; ++i) {
#pragma unroll
    for (int j = 0; j < T::kTokenMmas; ++j) {
#pragma unroll
      for (int e = 0; e < 4; ++e) sums[i][j][e] = 0;
    }
  }
  Weights<T> now;
  load_weight<T>(task, weight, warp, now);  // no kernel writes weights
  dependency_wait();
  for (int32_t strip = warp; strip < task.num_strips; strip += kStride) {
    Weights<T> next;
    load_weight<T>(task, weight, strip + kStride, next);
    multiply<E, T>(task, strip, now, sums);
    copy<T>(next, now);
  }
  typename Tail::Ahead ahead = {};
  if constexpr (!std::is_same_v<Tail, NoTail>) ahead = tail.look_ahead(task);
#pragma unroll
  for (int i = 0; i < T::kRowMmas; ++i) {
#pragma unroll
    for (int j = 0; j < T::kTokenMmas; ++j) {
#pragma unroll
      for (int e = 0; e < 4; ++e) {
        const int token = 8 * j + lane % 4 * 2 + e % 2;
        shared.sums[warp][token][16 * i + lane / 4 + e / 2 * 8] = sums[i][j][e];
      }
    }
  }
  __syncthreads();
  finish_block<E, T>(task, first_row, shared.sums);
  if constexpr (!std::is_same_v<Tail, NoTail>) {
    tail.template run<E>(task, first_row, T::kRows, ahead, shared.tail);
  }
}

template <class T, class Tail>
void launch_tile(CudaQueue& queue,
                 const LinearLaunch& launch,
                 const LinearTask& task,
                 const Tail& tail,
                 bool is_bf16) {
  CHECK(launch.tile_rows == T::kRows && launch.tile_tokens == T::kTokens);
  LaunchConfig config;
  config.grid = {static_cast<unsigned>(launch.num_tiles()), 1, 1};
  config.block = {kThreads, 1, 1};
  config.shared_bytes = sizeof(StreamShared<T, Tail>);
  const auto kernel = is_bf16 ? linear_stream<Bf16, T, Tail> : linear_stream<Fp16, T, Tail>;
  cuda::launch(queue, "linear_stream", kernel, config, task, tail);
}

// Launches for up to eight rows of x.
template <class Tail>
void launch_narrow(CudaQueue& queue,
                   const LinearLaunch& launch,
                   const LinearTask& task,
                   const Tail& tail,
                   bool is_bf16) {
  CHECK(task.split_k == 1);
  return launch.tile_rows == 32 ? launch_tile<StreamTile<2, 1>>(queue, launch, task, tail, is_bf16)
                                : launch_tile<StreamTile<1, 1>>(queue, launch, task, tail, is_bf16);
}

}  // namespace

void launch_linear_stream(CudaQueue& queue,
                          const LinearLaunch& launch,
                          const LinearTask& task,
                          bool is_bf16) {
  CHECK(task.split_k == 1 && task.rows <= kMaxStreamRows);
  if (task.rows <= 8) return launch_narrow(queue, launch, task, NoTail{}, is_bf16);
  return launch.tile_rows == 32
             ? launch_tile<StreamTile<2, 2>>(queue, launch, task, NoTail{}, is_bf16)
             : launch_tile<StreamTile<1, 2>>(queue, launch, task, NoTail{}, is_bf16);
}

void launch_linear_norm(CudaQueue& queue,
                        const LinearLaunch& launch,
                        const LinearTask& task,
                        const NormTask& norm,
                        bool is_bf16) {
  const NormShape shape = norm_shape(norm.width, norm.rows);
  CHECK(norm.rows == task.rows && norm.width == task.columns && task.rows <= kMaxNormRows);
  CHECK(shape.threads <= kThreads && shape.chunks > 0 && queue.counters() != nullptr);
  const NormTail tail = {norm, shape.threads, queue.counters()};
  launch_narrow(queue, launch, task, tail, is_bf16);
}

void launch_linear_heads(CudaQueue& queue,
                         const LinearLaunch& launch,
                         const LinearTask& task,
                         const HeadWork& work,
                         bool is_bf16) {
  CHECK(work.num_tokens == task.rows && task.rows <= kMaxHeadRows);
  CHECK(work.head_dim % launch.tile_rows == 0 && queue.counters() != nullptr);
  launch_narrow(queue, launch, task, HeadTail{work, queue.counters()}, is_bf16);
}

}  // namespace trireme::cuda
