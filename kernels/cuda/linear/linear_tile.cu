// y = x W^T by tiles in shared memory: 128 rows of W by 8 to 256 tokens, a ring of cp.async stages,
// ldmatrix, and mma m16n8k16 with the rows of W on its 16-row side, so that few tokens waste
// little.
//
// Layout: a stage holds the W tile, then the x tile, each [rows][kColumns] of 16-bit elements;
// 16-byte chunk c of row r lies at position c ^ (r % 8) (rows of 128 bytes) or c ^ (r / 2 % 4) (64
// bytes), so that the eight rows of an ldmatrix and the eight chunks of a row lie in different
// banks.
//
// Sums (linear_launch.h): each output is a chain over ascending k in steps of 16, divided into
// chunks. Tiles with kFolds sum several chunks; the others have one chunk per block.
//
// Bound: bytes of W up to about 200 tokens, then flops. Share of peak: not yet measured.

#include "base/check.h"
#include "kernels/cuda/arch.h"
#include "kernels/cuda/launch.h"
#include "kernels/cuda/linear/linear_kernels.h"

namespace trireme::cuda {

namespace {

// kRowWarps x kTokenWarps warps divide a tile; the part of a warp is a grid of 16 x 8 mma tiles.
template <int tokens,
          int row_warps,
          int token_warps,
          int columns,
          int stages,
          bool folds,
          int blocks>
struct Tile {
  static constexpr int kTokens = tokens;
  static constexpr int kColumns = columns;  // of K per stage
  static constexpr int kStages = stages;
  static constexpr bool kFolds = folds;
  static constexpr int kBlocks = blocks;  // per SM
  static constexpr int kTokenWarps = token_warps;
  static constexpr int kThreads = 32 * row_warps * token_warps;
  static constexpr int kWarpRows = kTileRows / row_warps;
  static constexpr int kWarpTokens = tokens / token_warps;
  static constexpr int kRowMmas = kWarpRows / 16;
  static constexpr int kTokenMmas = kWarpTokens / 8;
  static constexpr int kChunks = columns / 8;                  // of 16 bytes per row
  static constexpr int kRowsAtOnce = kThreads / kChunks;       // filled by one pass of copies
  static constexpr int kStageSteps = kStripColumns / columns;  // stages per strip
  static constexpr int kPitch = kWarpRows + 4;  // of the epilogue's rows: no bank conflicts
};
using Tile8 = Tile<8, 4, 1, 64, 4, true, 2>;
using Tile16 = Tile<16, 4, 1, 64, 4, true, 2>;
using Tile32 = Tile<32, 4, 1, 64, 4, true, 2>;
using Tile64 = Tile<64, 2, 2, 64, 4, true, 2>;
using Tile128 = Tile<128, 2, 4, 64, 3, false, 2>;
using Tile128Folded = Tile<128, 2, 4, 64, 3, true, 1>;
using Tile256 = Tile<256, 2, 4, 32, 4, false, 1>;

template <class T>
struct Stage {
  uint16_t weight[kTileRows * T::kColumns];
  uint16_t x[T::kTokens * T::kColumns];
};
template <class T>
struct TileShared {
  Stage<T> stages[T::kStages];
};

// Offset of 16-byte chunk `chunk` of row `row`, in elements.
template <class T>
__device__ __forceinline__ int swizzled(int row, int chunk) {
  const int swizzle = T::kChunks == 8 ? row % 8 : row / 2 % 4;
  return row * T::kColumns + (chunk ^ swizzle) * 8;
}

// First row of W and first token of a tile.
struct Origin {
  int32_t row;
  int32_t token;
};

// Copies columns [step kColumns, ...) of the tile's rows of W, which is padded.
template <class T>
__device__ __forceinline__ void load_weight(const LinearTask& task,
                                            Origin origin,
                                            int32_t step,
                                            Stage<T>& stage) {
  const int chunk = threadIdx.x % T::kChunks;
  const int first = threadIdx.x / T::kChunks;
  const int32_t column = step * T::kColumns + chunk * 8;
  const uint16_t* weight = task.weight + (origin.row + first) * task.padded_k + column;
#pragma unroll
  for (int pass = 0; pass < kTileRows / T::kRowsAtOnce; ++pass) {
    copy_async_16(&stage.weight[swizzled<T>(first + pass * T::kRowsAtOnce, chunk)],
                  weight + pass * T::kRowsAtOnce * task.padded_k);
  }
}

// Copies the same columns of x; tokens past the end and columns from k on become zero.
template <class T>
__device__ __forceinline__ void load_x(const LinearTask& task,
                                       Origin origin,
                                       int32_t step,
                                       Stage<T>& stage) {
  const int chunk = threadIdx.x % T::kChunks;
  const int first = threadIdx.x / T::kChunks;
  const int32_t column = step * T::kColumns + chunk * 8;
  const int32_t left = min(max(task.k - column, 0), 8) * 2;
#pragma unroll
  for (int pass = 0; pass < (T::kTokens + T::kRowsAtOnce - 1) / T::kRowsAtOnce; ++pass) {
    const int token = first + pass * T::kRowsAtOnce;
    if (T::kTokens % T::kRowsAtOnce != 0 && token >= T::kTokens) break;
    const int32_t bytes = origin.token + token < task.rows ? left : 0;
    const uint16_t* x = task.x + (origin.token + token) * task.x_stride + column;
    copy_async_16(&stage.x[swizzled<T>(token, chunk)], bytes > 0 ? x : task.x, bytes);
  }
}

template <class T>
using Sums = float[T::kRowMmas][T::kTokenMmas][4];

// sums += W x^T over the stage's columns, 32 at a time.
template <class E, class T>
__device__ __forceinline__ void multiply_stage(const Stage<T>& stage, Sums<T>& sums) {
  const int lane = threadIdx.x % 32;
  const int warp = threadIdx.x / 32;
  const int row = warp / T::kTokenWarps * T::kWarpRows + lane % 16;
  const int token = warp % T::kTokenWarps * T::kWarpTokens + lane % 8;
#pragma unroll
  for (int part = 0; part < T::kColumns / 32; ++part) {
    uint32_t a[2][T::kRowMmas][4];
#pragma unroll
    for (int half = 0; half < 2; ++half) {
#pragma unroll
      for (int i = 0; i < T::kRowMmas; ++i) {
        const int chunk = 4 * part + 2 * half + lane / 16;
        load_matrices(a[half][i], &stage.weight[swizzled<T>(row + 16 * i, chunk)]);
      }
    }
#pragma unroll
    for (int j = 0; j < T::kTokenMmas; ++j) {
      uint32_t x[4];
      load_matrices(x, &stage.x[swizzled<T>(token + 8 * j, 4 * part + lane / 8)]);
      const uint32_t low[2] = {x[0], x[1]};
      const uint32_t high[2] = {x[2], x[3]};
#pragma unroll
      for (int i = 0; i < T::kRowMmas; ++i) mma_16x8x16<E>(sums[i][j], a[0][i], low);
#pragma unroll
      for (int i = 0; i < T::kRowMmas; ++i) mma_16x8x16<E>(sums[i][j], a[1][i], high);
    }
  }
}

template <class T>
__device__ __forceinline__ void clear(Sums<T>& sums) {
#pragma unroll
  for (int i = 0; i < T::kRowMmas; ++i) {
#pragma unroll
    for (int j = 0; j < T::kTokenMmas; ++j) {
#pragma unroll
      for (int e = 0; e < 4; ++e) sums[i][j][e] = 0;
    }
  }
}

// total += chunk; clears chunk.
template <class T>
__device__ __forceinline__ void fold(Sums<T>& total, Sums<T>& chunk) {
#pragma unroll
  for (int i = 0; i < T::kRowMmas; ++i) {
#pragma unroll
    for (int j = 0; j < T::kTokenMmas; ++j) {
#pragma unroll
      for (int e = 0; e < 4; ++e) total[i][j][e] += chunk[i][j][e];
    }
  }
  clear<T>(chunk);
}

// Stores the sums of packed rows [row, row + unit) of one token: among the partial sums of this
// block's chunk, or through the epilogue.
template <class E>
__device__ __forceinline__ void put_unit(const LinearTask& task,
                                         int32_t token,
                                         int32_t row,
                                         const float* sums) {
  if (token >= task.rows) return;
  if (task.split_k == 1) return finish_unit<E>(task, token, row, sums);
  const int64_t line = static_cast<int64_t>(blockIdx.y) * task.rows + token;
  float* to = task.partials + line * task.padded_n + row;
  for (int i = 0; i < unit_rows(task); i += 4) {
    *reinterpret_cast<float4*>(to + i) = *reinterpret_cast<const float4*>(sums + i);
  }
}

// Each warp transposes its sums in shared memory, eight tokens at a time, so that it writes
// contiguous pieces of the output's rows.
template <class E, class T>
__device__ __forceinline__ void write_sums(const LinearTask& task,
                                           Origin origin,
                                           TileShared<T>& shared,
                                           const Sums<T>& sums) {
  static_assert(sizeof(shared) >= T::kThreads / 32 * 8 * T::kPitch * sizeof(float));
  const int lane = threadIdx.x % 32;
  const int warp = threadIdx.x / 32;
  float* turned = reinterpret_cast<float*>(&shared) + warp * 8 * T::kPitch;
  const int32_t first_row = origin.row + warp / T::kTokenWarps * T::kWarpRows;
  const int32_t first_token = origin.token + warp % T::kTokenWarps * T::kWarpTokens;
  const int unit = unit_rows(task);
  const int units = T::kWarpRows / unit;  // per token
#pragma unroll
  for (int j = 0; j < T::kTokenMmas; ++j) {
    __syncwarp();
#pragma unroll
    for (int i = 0; i < T::kRowMmas; ++i) {
#pragma unroll
      for (int e = 0; e < 4; ++e) {
        const int token = lane % 4 * 2 + e % 2;
        turned[token * T::kPitch + 16 * i + lane / 4 + e / 2 * 8] = sums[i][j][e];
      }
    }
    __syncwarp();
    for (int index = lane; index < 8 * units; index += 32) {
      const int token = index / units;
      const int row = index % units * unit;
      put_unit<E>(
          task, first_token + 8 * j + token, first_row + row, turned + token * T::kPitch + row);
    }
  }
}

template <class E, class T>
__global__ void __launch_bounds__(T::kThreads, T::kBlocks) linear_tile(LinearTask task) {
  TileShared<T>& shared = shared_memory<TileShared<T>>();
  const TilePlace place = place_of_block(blockIdx.x, task.row_tiles, task.token_tiles);
  const Origin origin = {place.row_tile * kTileRows, place.token_tile * T::kTokens};
  const int32_t chunk_steps = task.chunk_strips * T::kStageSteps;
  const int32_t all_steps = task.num_strips * T::kStageSteps;
  const int32_t begin = task.split_k == 1 ? 0 : static_cast<int32_t>(blockIdx.y) * chunk_steps;
  const int32_t end = task.split_k == 1 ? all_steps : min(begin + chunk_steps, all_steps);

  // No kernel writes weights, so their first stages are loaded before the wait.
#pragma unroll
  for (int i = 0; i < T::kStages - 1; ++i) {
    if (begin + i < end) load_weight<T>(task, origin, begin + i, shared.stages[i]);
  }
  dependency_wait();
#pragma unroll
  for (int i = 0; i < T::kStages - 1; ++i) {
    if (begin + i < end) load_x<T>(task, origin, begin + i, shared.stages[i]);
    copy_async_commit();
  }
  Sums<T> sums;
  Sums<T> total;  // unused if a block has one chunk
  clear<T>(sums);
  clear<T>(total);
  int32_t slot = 0;
  int32_t free_slot = T::kStages - 1;
  int32_t left_in_chunk = chunk_steps;
  for (int32_t step = begin; step < end; ++step) {
    copy_async_wait<T::kStages - 2>();
    __syncthreads();  // all threads see the stage, and have left the one before
    const int32_t ahead = step + T::kStages - 1;
    if (ahead < end) {
      load_weight<T>(task, origin, ahead, shared.stages[free_slot]);
      load_x<T>(task, origin, ahead, shared.stages[free_slot]);
    }
    copy_async_commit();
    multiply_stage<E, T>(shared.stages[slot], sums);
    free_slot = slot;
    slot = slot + 1 == T::kStages ? 0 : slot + 1;
    if (T::kFolds && --left_in_chunk == 0) {
      fold<T>(total, sums);
      left_in_chunk = chunk_steps;
    }
  }
  copy_async_wait<0>();
  __syncthreads();
  if (T::kFolds) {
    if (left_in_chunk != chunk_steps) fold<T>(total, sums);
    write_sums<E, T>(task, origin, shared, total);
  } else {
    write_sums<E, T>(task, origin, shared, sums);
  }
}

// Calls `action` with the tile type of `launch`.
template <class Action>
void with_tile(const LinearLaunch& launch, const Action& action) {
  switch (launch.tile_tokens) {
    case 8:
      return action(Tile8{});
    case 16:
      return action(Tile16{});
    case 32:
      return action(Tile32{});
    case 64:
      return action(Tile64{});
    case 128:
      return launch.folds ? action(Tile128Folded{}) : action(Tile128{});
    case 256:
      CHECK(!launch.folds);
      return action(Tile256{});
    default:
      CHECK_THAT(false, "no such tile of tokens");
  }
}

template <class T>
cudaError_t prepare_tile(bool is_bf16, TileResidency& resident) {
  constexpr int64_t kBytes = sizeof(TileShared<T>);
  static_assert(kBytes <= kMinSharedBytes);
  const auto kernel = is_bf16 ? linear_tile<Bf16, T> : linear_tile<Fp16, T>;
  const cudaError_t error = allow_shared_memory(kernel, kBytes);
  if (error != cudaSuccess) return error;
  return ask_resident_blocks(kernel, T::kThreads, kBytes, resident.of(T::kTokens));
}

}  // namespace

void launch_linear_tile(CudaQueue& queue,
                        const LinearLaunch& launch,
                        const LinearTask& task,
                        bool is_bf16) {
  LaunchConfig config;
  config.grid = {
      static_cast<unsigned>(launch.num_tiles()), static_cast<unsigned>(launch.split_k), 1};
  with_tile(launch, [&](auto tile) {
    using T = decltype(tile);
    CHECK(launch.stages == T::kStages && launch.tile_tokens == T::kTokens);
    config.block = {T::kThreads, 1, 1};
    config.shared_bytes = sizeof(TileShared<T>);
    const auto kernel = is_bf16 ? linear_tile<Bf16, T> : linear_tile<Fp16, T>;
    cuda::launch(queue, "linear_tile", kernel, config, task);
  });
}

cudaError_t prepare_linear_tile(bool is_bf16, TileResidency& resident) {
  for (const auto prepare :
       {prepare_tile<Tile8>,
        prepare_tile<Tile16>,
        prepare_tile<Tile32>,
        prepare_tile<Tile64>,
        prepare_tile<Tile128Folded>,  // shares the entry of Tile128, which sets it
        prepare_tile<Tile128>,
        prepare_tile<Tile256>}) {
    const cudaError_t error = prepare(is_bf16, resident);
    if (error != cudaSuccess) return error;
  }
  return cudaSuccess;
}

}  // namespace trireme::cuda
