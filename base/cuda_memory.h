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
                                      << 20;   // per lane; partial sums of chunks should stay in L2
constexpr int64_t kCudaReduceBytes = 1 << 20;  // largest piece of an all-reduce over ranks
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

// A plan of attention (kernels/cuda/attention/attention_plan.h): a header, counters of arrivals of
// split tiles, and per segment its share of the work and its end in the units of each kernel.
constexpr int32_t kCudaSplitTiles = 4096;
constexpr int64_t kCudaPlanHeaderBytes = 32;
constexpr int64_t kCudaSegmentShareBytes = 48;
constexpr int64_t cuda_attention_plan_bytes(int64_t max_segments) {
  constexpr int64_t kNumKernels = 2;  // decode and prefill
  return kCudaPlanHeaderBytes + int64_t{kCudaSplitTiles} * 4 +
         max_segments * (kCudaSegmentShareBytes + kNumKernels * 4);
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

}  // namespace trireme
