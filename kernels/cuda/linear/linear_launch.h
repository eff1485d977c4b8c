// How a matmul y = x W^T is distributed over a GPU: a pure function of shapes and budget.
//
// K is summed in strips of 64, ascending; a chunk is a run of strips, summed from zero by one chain
// of mma instructions; chunks are added in ascending order, from zero. Every tile size keeps this
// order, and an instruction sums its 16 products the same way in each row and column. So the bits
// of an output depend on its row of x, its row of W and the division into chunks, and on nothing
// else.
//   Invariant mode: the chunks depend on (n, k) alone, and all row counts use the tile kernel, so a
//   row
//     has the same bits in any batch and on any queue budget.
//   Fast mode: the chunks depend on rows and budget, and up to kMaxStreamRows rows take the stream
//     kernel, which has its own order. Equal calls still give equal bits.
#pragma once

#include <cstdint>

#include "base/cuda_memory.h"
#include "kernels/cuda/device_fit.h"

namespace trireme::cuda {

constexpr int32_t kStripColumns = 64;   // the unit of K; weights are zero-padded to it
constexpr int32_t kTileRows = 128;      // rows of W in a tile of the tiled kernel
constexpr int32_t kMaxStreamRows = 16;  // two token tiles of mma
constexpr int32_t kStreamWarps = 8;     // they divide K, strip by strip in turn
constexpr int32_t kMaxSplit = 16;       // chunks of K
constexpr int32_t kMinChunkStrips =
    4;  // below 256 columns summing the chunks costs more than it gains
constexpr int64_t kPartialBytes = kCudaScratchBytes;  // of chunks' sums: stay in L2
// The blocks iterate over row tiles of W within groups of this many token tiles, so that concurrent
// blocks share rows of both W and x in L2.
constexpr int32_t kGroupedTokenTiles = 8;

// Limits of the stream kernel's tails (linear_tail.h): row counts so small that a tail takes less
// time than a launch of its own. One block normalizes row after row; a row takes it about half as
// long as a launch with the gap before it (an estimate, not yet measured). A head has one warp for
// each of eight rows.
constexpr int32_t kMaxNormRows = 2;
constexpr int32_t kMaxHeadRows = kStreamWarps;
constexpr int32_t kMaxNormWidth = 8192;  // a row of this width fits a block's registers
constexpr int32_t kMaxTailHeads = 512;   // each has a counter; the largest known model has 144

struct LinearShape {
  int32_t rows = 0;  // tokens
  int32_t n = 0;     // packed rows of W, including gaps between gate and up
  int32_t k = 0;
};

// The blocks that a launch may occupy: the queue's budget of SMs, and the blocks of each tile size
// that an SM holds at once (queried by prepare_linear()).
struct LinearBudget {
  int32_t num_blocks = 1;
  TileResidency resident = {};
};

struct LinearLaunch {
  bool streams = false;     // the stream kernel: no tiles in shared memory, warps divide K
  int32_t tile_tokens = 0;  // 8, 16, 32, 64, 128, 256
  int32_t tile_rows = 0;    // of W: kTileRows; 16 or 32 in the stream kernel
  int32_t stages = 0;       // of the ring in shared memory; 0: none
  bool folds = false;       // a block sums several chunks
  int32_t row_tiles = 0;
  int32_t token_tiles = 0;
  int32_t split_k = 1;  // blocks per tile, one chunk of K each; 1: a block takes all of K
  int32_t chunk_strips = 0;

  int32_t num_tiles() const { return row_tiles * token_tiles; }  // grid.x; grid.y is split_k
};

// The tile of block `index`. Order of the blocks: token tiles first, kGroupedTokenTiles at a time.
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

// No rows: no tiles. The invariant mode ignores the budget.
LinearLaunch choose_linear(const LinearShape& shape, const LinearBudget& budget, bool invariant);

// Whether the launch takes a tail that normalizes its rows, or one that finishes its heads.
bool takes_norm(const LinearShape& shape, const LinearLaunch& launch);
bool takes_heads(const LinearShape& shape, const LinearLaunch& launch, int32_t head_dim);

// Bytes of the chunks' sums: fp32 [split_k][rows][n padded to kTileRows]; 0 if K is not split.
int64_t partial_bytes(const LinearShape& shape, const LinearLaunch& launch);

}  // namespace trireme::cuda
