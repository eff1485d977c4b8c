// All-reduce of small pieces among ranks that see one another's memory (PeerView). Every rank
// enqueues the same calls with the same sizes. Sums are in rank order for either algorithm, so a
// result's bits do not depend on the size. Used by a Comm over peer memory.
#pragma once

#include <cuda_runtime.h>

#include <cstdint>

#include "kernels/cuda/cuda_queue.h"
#include "kernels/peer_view.h"
#include "kernels/tensor.h"

namespace trireme::cuda {

// The algorithm of an all-reduce of `bytes`: in one shot every rank reads the data of all ranks; in
// two every rank sums its part and reads the other parts' sums.
struct PeerReduceLaunch {
  bool is_two_shot = false;
  int32_t blocks = 1;
};
PeerReduceLaunch choose_peer_reduce(int64_t bytes, int32_t num_ranks, int32_t max_blocks);

// data = the sum over ranks of `data`. Contiguous, 16-byte aligned, at most view.half_bytes; fp32,
// bf16 or fp16.
void peer_all_reduce(CudaQueue& queue, const PeerView& view, Tensor data);

// out = the sum of the tensors at parts + r * stride, added in rank order. Contiguous, 16-byte
// aligned. For sums whose parts came over a network.
void add_in_rank_order(
    CudaQueue& queue, const std::byte* parts, int64_t stride, int32_t num_parts, Tensor out);

// Loads the kernels ahead of their first launch: loading a module waits for running kernels, and
// one of another rank may be waiting for this rank. Lowers `resident_blocks`, unless it is 0, to
// the blocks of these kernels that an SM holds.
cudaError_t prepare_peer_reduce(int32_t& resident_blocks);

}  // namespace trireme::cuda
