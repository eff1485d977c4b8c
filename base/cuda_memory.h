// Sizes of the memory layout of the CUDA backend. The kernels allocate by these numbers, and
// model/device_plan.cc predicts the memory of a rank with the same ones. Constants and pure
// functions, callable from device code.
#pragma once

#include <cstdint>

namespace trireme {

constexpr int32_t kCudaPageTokens = 64;   // tokens per page of KV cache
constexpr int32_t kCudaRowAlignment = 8;  // elements of an activation row: 16 bytes
constexpr int64_t kCudaColumnPad = 64;    // columns of a packed weight, in elements
constexpr int64_t kCudaRowPad = 128;      // rows of a packed weight
constexpr int64_t kCudaScratchBytes = 32
                                      << 20;  // per lane; partial sums of chunks should stay in L2
// A matmul that cuBLASLt computes and an epilogue follows is done in pieces of rows, whose product
// is staged in the workspace, in the activation type or, before a bias alone, in fp32
// (docs/decisions/0012-staged-products.md).
// Behind it the library has memory of its own.
constexpr int64_t kCudaPieceRows = 2048;  // maximum; more would not occupy the device better
constexpr int64_t kCudaPieceUnit = 128;   // keeps the alignment of every piece of x and out
constexpr int64_t kCudaStagingBytes = int64_t{112} << 20;  // 2048 rows of 28672 columns
constexpr int64_t kCudaLibraryBytes = int64_t{16} << 20;
constexpr int64_t kCudaReduceBytes = 1 << 20;    // largest piece of an all-reduce over ranks
constexpr int64_t kCudaExchangeBytes = 1 << 18;  // piece of an all_to_all between two ranks
constexpr int64_t kCudaPeerWordBytes = 5 << 10;  // per communicator: flags, turns, messages
// Memory that other processes open is whole units of this size: smaller allocations share a unit,
// and cudaIpc hands out all of it.
constexpr int64_t kCudaArenaUnitBytes = 2 << 20;
// Estimate of the device memory used by context, modules, graphs and libraries, for plans made
// before launch. A rank measures it after all of them are loaded and sizes its pages by that. The
// estimate is not yet measured on a GPU.
constexpr int64_t kCudaModuleBytes = int64_t{448} << 20;
// Left free when a rank allocates its pages: for the driver, and for the buffers that NCCL
// allocates when a connection first sends.
constexpr int64_t kCudaReserveBytes = int64_t{64} << 20;

// Largest piece of a product of `padded_n` columns: 2048 rows up to 28,672 columns, 1024 up to
// 57,344.
constexpr int64_t cuda_max_piece_rows(int64_t padded_n) {
  const int64_t fits = kCudaStagingBytes / (2 * padded_n) / kCudaPieceUnit * kCudaPieceUnit;
  return fits < kCudaPieceUnit ? kCudaPieceUnit : fits < kCudaPieceRows ? fits : kCudaPieceRows;
}

// Rows of every piece but the last, which has the others: as few pieces as possible, of about equal
// size, so that none is much smaller than half of the largest.
constexpr int64_t cuda_piece_rows(int64_t rows, int64_t padded_n) {
  const int64_t most = cuda_max_piece_rows(padded_n);
  if (rows <= most) return rows;
  const int64_t pieces = (rows + most - 1) / most;
  const int64_t even = (rows + pieces - 1) / pieces;
  return (even + kCudaPieceUnit - 1) / kCudaPieceUnit * kCudaPieceUnit;
}

// Bytes of a staged piece, rounded up to 256, the alignment of the library's memory behind it.
constexpr int64_t cuda_staged_bytes(int64_t piece_rows, int64_t padded_n) {
  return (piece_rows * padded_n * 2 + 255) / 256 * 256;
}

// Bytes of a lane's workspace: `staged_n` is the largest number of 16-bit columns that are staged
// for a row; 0: none is staged (--invariant).
constexpr int64_t cuda_workspace_bytes(int64_t max_rows, int64_t staged_n) {
  if (staged_n <= 0 || max_rows <= 0) return kCudaScratchBytes;
  const int64_t padded_n = (staged_n + kCudaRowPad - 1) / kCudaRowPad * kCudaRowPad;
  const int64_t most = cuda_max_piece_rows(padded_n);
  const int64_t staged = cuda_staged_bytes(max_rows < most ? max_rows : most, padded_n);
  return staged + kCudaLibraryBytes < kCudaScratchBytes ? kCudaScratchBytes
                                                        : staged + kCudaLibraryBytes;
}

// Elements per stored row of K or V: head_dim rounded up to the next instance of the attention
// kernels, or 0 above the largest one.
constexpr int32_t cuda_stored_dim(int32_t head_dim) {
  return head_dim <= 64    ? 64
         : head_dim <= 80  ? 80
         : head_dim <= 96  ? 96
         : head_dim <= 128 ? 128
         : head_dim <= 256 ? 256
                           : 0;
}

// Packed rows of a tile of the prefill attention kernel. With 128 rows a warp uses each loaded
// fragment of K and V for two tiles; at width 256 the accumulators leave registers for one tile
// only.
constexpr int32_t cuda_prefill_rows(int32_t stored_dim) { return stored_dim <= 128 ? 128 : 64; }

// A plan of attention (kernels/cuda/attention/attention_plan.h): a header, counters of arrivals of
// split tiles, the units of both kernels, and per segment its share of the work and its end in the
// units of each kernel.
constexpr int32_t kCudaSplitTiles = 4096;
constexpr int32_t kCudaSplitUnits = 8192;       // maximum units of split tiles
constexpr int32_t kCudaAttentionBlocks = 1024;  // maximum blocks of a launch
constexpr int32_t kCudaTileRows = 16;           // packed rows of a tile of the decode kernel
constexpr int64_t kCudaPlanHeaderBytes = 64;
constexpr int64_t kCudaPlannedUnitBytes = 64;
constexpr int64_t kCudaSegmentShareBytes = 48;

// Maximum units of a step. Unsplit tiles per KV head: a decode segment has one row, in ceil(group /
// 16) tiles, or at most two tiles; prefill tiles are full but for the last of a segment. Blocks
// without a unit of their own have an empty one.
constexpr int64_t cuda_attention_units(
    int64_t tokens, int64_t segments, int64_t num_heads, int64_t num_kv_heads, int32_t stored_dim) {
  const int64_t group = num_heads / num_kv_heads;
  const int64_t group_tiles = (group + kCudaTileRows - 1) / kCudaTileRows;
  const int64_t decode_tiles = segments * (group_tiles < 2 ? 2 : group_tiles);
  const int64_t prefill_tiles = tokens * group / cuda_prefill_rows(stored_dim);
  return num_kv_heads * (decode_tiles + prefill_tiles) + kCudaSplitUnits + 2 * kCudaAttentionBlocks;
}

constexpr int64_t cuda_attention_plan_bytes(
    int64_t tokens, int64_t segments, int64_t num_heads, int64_t num_kv_heads, int32_t stored_dim) {
  constexpr int64_t kNumKernels = 2;  // decode and prefill
  const int64_t units = cuda_attention_units(tokens, segments, num_heads, num_kv_heads, stored_dim);
  return kCudaPlanHeaderBytes + int64_t{kCudaSplitTiles} * 4 + units * kCudaPlannedUnitBytes +
         segments * (kCudaSegmentShareBytes + kNumKernels * 4);
}

}  // namespace trireme
