#include "kernels/cuda/linear/linear_launch.h"

#include <algorithm>

namespace trireme::cuda {

namespace {

// Target number of blocks for the chunks of the invariant mode: two per SM of the largest GPUs of
// sm_80 to sm_90a (108 to 132 SMs). A constant, since the budget must not change the bits.
constexpr int32_t kInvariantBlocks = 256;
constexpr int32_t kRingStages = 4;
constexpr int32_t kWideStages = 3;  // tiles of 128 tokens: 32 KiB per stage, at most 99 KiB

constexpr int32_t ceil_div(int32_t value, int32_t unit) { return (value + unit - 1) / unit; }

int32_t fitting_tokens(int32_t rows) {
  int32_t tokens = 8;
  while (tokens < rows && tokens < 128) tokens *= 2;
  return tokens;
}

void set_tile(LinearLaunch& launch, const LinearShape& shape, int32_t tokens) {
  launch.tile_tokens = tokens;
  launch.tile_rows = kTileRows;
  launch.stages = tokens == 128 ? kWideStages : kRingStages;
  launch.row_tiles = ceil_div(shape.n, kTileRows);
  launch.token_tiles = ceil_div(shape.rows, tokens);
}

// Divides the strips into at most `chunks` equal runs.
void set_chunks(LinearLaunch& launch, int32_t strips, int32_t chunks) {
  chunks = std::clamp(std::min(chunks, strips / kMinChunkStrips), 1, kMaxSplit);
  launch.chunk_strips = ceil_div(strips, chunks);
  launch.split_k = ceil_div(strips, launch.chunk_strips);
}

// Blocks that run at the same time.
int32_t slots_of(const LinearBudget& budget, const LinearLaunch& launch) {
  return budget.resident.of(launch.tile_tokens) * budget.num_blocks;
}

LinearLaunch choose_stream(const LinearShape& shape, int32_t num_blocks) {
  LinearLaunch launch;
  launch.streams = true;
  launch.tile_tokens = shape.rows <= 8 ? 8 : 16;
  launch.tile_rows = ceil_div(shape.n, 32) >= num_blocks ? 32 : 16;
  launch.row_tiles = ceil_div(shape.n, launch.tile_rows);
  launch.token_tiles = 1;
  launch.chunk_strips = ceil_div(shape.k, kStripColumns);
  return launch;
}

LinearLaunch choose_invariant(const LinearShape& shape) {
  LinearLaunch launch;
  set_tile(launch, shape, fitting_tokens(shape.rows));
  set_chunks(launch, ceil_div(shape.k, kStripColumns), kInvariantBlocks / launch.row_tiles);
  launch.folds = true;
  const bool is_filled = launch.num_tiles() >= kInvariantBlocks / 2;
  if (is_filled || partial_bytes(shape, launch) > kPartialBytes) launch.split_k = 1;
  return launch;
}

}  // namespace

int64_t partial_bytes(const LinearShape& shape, const LinearLaunch& launch) {
  if (launch.split_k == 1) return 0;
  const int64_t padded_n = int64_t{ceil_div(shape.n, kTileRows)} * kTileRows;
  return launch.split_k * shape.rows * padded_n * int64_t{sizeof(float)};
}

bool takes_norm(const LinearShape& shape, const LinearLaunch& launch) {
  return launch.streams && shape.rows <= kMaxNormRows && shape.n <= kMaxNormWidth;
}

bool takes_heads(const LinearShape& shape, const LinearLaunch& launch, int32_t head_dim) {
  return launch.streams && shape.rows <= kMaxHeadRows && head_dim > 0 &&
         head_dim % launch.tile_rows == 0 && shape.n / head_dim <= kMaxTailHeads;
}

LinearLaunch choose_linear(const LinearShape& shape, const LinearBudget& budget, bool invariant) {
  if (shape.rows <= 0 || shape.n <= 0) return {};
  if (invariant) return choose_invariant(shape);
  if (shape.rows <= kMaxStreamRows) return choose_stream(shape, budget.num_blocks);

  LinearLaunch launch;
  set_tile(launch, shape, fitting_tokens(shape.rows));
  if (shape.rows > 128) {
    LinearLaunch wide;
    set_tile(wide, shape, 256);
    if (wide.num_tiles() >= slots_of(budget, wide)) launch = wide;
  }
  const int32_t strips = ceil_div(shape.k, kStripColumns);
  set_chunks(launch, strips, slots_of(budget, launch) / launch.num_tiles());
  if (partial_bytes(shape, launch) > kPartialBytes) set_chunks(launch, strips, 1);
  return launch;
}

}  // namespace trireme::cuda
