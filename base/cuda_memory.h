// How the CUDA backend lays out its memory, as far as others need it to count bytes: the kernels
// use these numbers, and the planner predicts with them. Functions may be called from device code.
#pragma once

#include <cstdint>

namespace trireme {

constexpr int32_t kCudaPageTokens = 64;          // of a page of KV cache
constexpr int32_t kCudaRowAlignment = 8;         // elements of an activation's row: 16 bytes
constexpr int64_t kCudaColumnPad = 64;           // of a packed weight's rows, in elements
constexpr int64_t kCudaRowPad = 128;             // of a packed weight, in rows
constexpr int64_t kCudaScratchBytes = 32 << 20;  // of a lane; sums of chunks should stay in L2
constexpr int64_t kCudaReduceBytes = 1 << 20;    // of the largest piece of a sum over ranks
constexpr int64_t kCudaExchangeBytes = 1 << 18;  // of a piece of an all_to_all between two ranks
constexpr int64_t kCudaPeerWordBytes = 5 << 10;  // of a communicator: flags, turns, messages
// Planned for what a device loses to its context, modules, graphs and libraries; a rank measures it
// when all of them are there, and takes its pages then. No GPU has shown the number yet.
constexpr int64_t kCudaModuleBytes = int64_t{448} << 20;
// Left free when pages are taken: what the driver needs for its own, and what NCCL takes when a
// connection first sends.
constexpr int64_t kCudaReserveBytes = int64_t{64} << 20;

// A plan of attention (kernels/cuda/attention_plan.h): a header, counters of arrivals of split
// tiles, and per segment its share of the work and its end in the units of each kernel.
constexpr int32_t kCudaSplitTiles = 4096;
constexpr int64_t kCudaPlanHeaderBytes = 32;
constexpr int64_t kCudaSegmentShareBytes = 48;
constexpr int64_t cuda_attention_plan_bytes(int64_t max_segments) {
  constexpr int64_t kNumKernels = 2;  // decode and prefill
  return kCudaPlanHeaderBytes + int64_t{kCudaSplitTiles} * 4 +
         max_segments * (kCudaSegmentShareBytes + kNumKernels * 4);
}

// Elements of a stored row of K or V: those of the attention kernels' instance which takes this
// head_dim, or 0 if none does.
constexpr int32_t cuda_stored_dim(int32_t head_dim) {
  return head_dim <= 64    ? 64
         : head_dim <= 80  ? 80
         : head_dim <= 96  ? 96
         : head_dim <= 128 ? 128
         : head_dim <= 256 ? 256
                           : 0;
}

}  // namespace trireme
