// How the CUDA backend lays out its memory, as far as others need it to count bytes: the kernels
// use these numbers, and the planner predicts with them. Functions may be called from device code.
#pragma once

#include <cstdint>

namespace trireme {

constexpr int32_t kCudaPageTokens = 64;          // of a page of KV cache
constexpr int32_t kCudaRowAlignment = 8;         // elements of an activation's row: 16 bytes
constexpr int64_t kCudaColumnPad = 64;           // of a packed weight's rows, in elements
constexpr int64_t kCudaScratchBytes = 32 << 20;  // of a lane; sums of chunks should stay in L2
// Kept out of every plan: local memory and printf buffers of modules, the driver's own needs, and
// what NCCL takes when it first sends.
constexpr int64_t kCudaReserveBytes = int64_t{512} << 20;

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
