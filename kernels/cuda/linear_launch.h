// How a matmul y = x W^T is shared out over a GPU: a pure function of shapes and budget.
//
// K is summed in strips of 64, ascending; a chunk is a run of strips, summed from zero by one chain
// of mma instructions; chunks are added in ascending order, from zero. Every tile keeps this order,
// and an instruction sums its 16 products the same way in each row and column. So an output's bits
// depend on its row of x, its row of W and the cut into chunks, and on nothing else.
//   invariant: the cut depends on (n, k) alone, and all row counts use the tiles: a row's bits are
//     the same in any batch, on any queue budget.
//   else: the cut follows rows and budget, and up to kMaxStreamRows rows take the stream kernel,
//     whose order is its own. Equal calls still give equal bits.
#pragma once

#include <cstdint>

#include "base/cuda_memory.h"
#include "kernels/cuda/device_fit.h"

namespace trireme::cuda {

constexpr int32_t kStripColumns = 64;   // the unit of K; weights are zero-padded to it
constexpr int32_t kTileRows = 128;      // rows of W in a tile of the tiled kernel
constexpr int32_t kMaxStreamRows = 16;  // two token tiles of an mma
constexpr int32_t kStreamWarps = 8;     // they share K, strip by strip in turn
constexpr int32_t kMaxSplit = 16;       // chunks of K
constexpr int32_t kMinChunkStrips =
    4;  // below 256 columns the sum of chunks costs more than it wins
constexpr int64_t kPartialBytes = kCudaScratchBytes;  // of chunks' sums: they should stay in L2
// Row tiles of W are walked under this many token tiles at a time: blocks that run together then
// share both their rows of W and of x in L2.
constexpr int32_t kGroupedTokenTiles = 8;

// Tails of the stream kernel (linear_tail.h): for so few rows that they end sooner than a launch of
// their own would. One block norms row after row, and a row takes it about half as long as a launch
// with its pause (an estimate, not yet measured). A head has a warp for each of eight rows at once.
constexpr int32_t kMaxNormRows = 2;
constexpr int32_t kMaxHeadRows = kStreamWarps;
constexpr int32_t kMaxNormWidth = 8192;  // a row of that width stays in a block's registers
constexpr int32_t kMaxTailHeads = 512;   // each has a counter; the most of a model known is 144

struct LinearShape {
  int32_t rows = 0;  // tokens
  int32_t n = 0;     // packed rows of W, gaps between gate and up included
  int32_t k = 0;
};

// What a launch may fill: the queue's budget of SMs, and the blocks of each tile that one of them
// holds at once (prepare_linear() asks the device).
struct LinearBudget {
  int32_t num_blocks = 1;
  TileResidency resident = {};
};

struct LinearLaunch {
  bool streams = false;     // the stream kernel: no shared tiles, warps share K
  int32_t tile_tokens = 0;  // 8, 16, 32, 64, 128, 256
  int32_t tile_rows = 0;    // of W: kTileRows, or 16 or 32 where it streams
  int32_t stages = 0;       // of the ring in shared memory; 0: none
  bool folds = false;       // a block adds several chunks itself
  int32_t row_tiles = 0;
  int32_t token_tiles = 0;
  int32_t split_k = 1;  // blocks that share a tile's K, a chunk each; 1: a block takes all
  int32_t chunk_strips = 0;

  int32_t num_tiles() const { return row_tiles * token_tiles; }  // grid.x; grid.y is split_k
};

// The tile of block `index`, and the blocks' order: token tiles first, kGroupedTokenTiles at a
// time.
struct TilePlace {
  int32_t row_tile;
  int32_t token_tile;
};
constexpr TilePlace place_of_block(int32_t index, int32_t row_tiles, int32_t token_tiles) {
  const int32_t group = index / (row_tiles * kGroupedTokenTiles);
  const int32_t first = group * kGroupedTokenTiles;
  const int32_t left = token_tiles - first;
  const int32_t width = left < kGroupedTokenTiles ? left : kGroupedTokenTiles;
  const int32_t inside = index - first * row_tiles;
  return {inside / width, first + inside % width};
}

// No rows: no tiles. The invariant mode does not look at the budget.
LinearLaunch choose_linear(const LinearShape& shape, const LinearBudget& budget, bool invariant);

// Whether the launch may have a tail that norms its rows, or one that finishes its heads.
bool takes_norm(const LinearShape& shape, const LinearLaunch& launch);
bool takes_heads(const LinearShape& shape, const LinearLaunch& launch, int32_t head_dim);

// Bytes of the chunks' sums: fp32 [split_k][rows][n padded to kTileRows]; 0 where nothing is split.
int64_t partial_bytes(const LinearShape& shape, const LinearLaunch& launch);

}  // namespace trireme::cuda
