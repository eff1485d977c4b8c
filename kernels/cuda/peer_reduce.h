// Collectives of small pieces among ranks that see one another's memory (PeerView). Every rank
// enqueues the same calls with the same sizes; sums are in rank order whatever the way. Used by a
// Comm over peer memory.
#pragma once

#include <cuda_runtime.h>

#include <cstdint>

#include "kernels/cuda/cuda_queue.h"
#include "kernels/peer_view.h"
#include "kernels/tensor.h"

namespace trireme::cuda {

// How an all-reduce of `bytes` runs: one shot, every rank reads all of all ranks; or two, every
// rank adds its part of the whole and reads the other sums.
struct PeerReduceLaunch {
  bool is_two_shot = false;
  int32_t blocks = 1;
};
PeerReduceLaunch choose_peer_reduce(int64_t bytes, int32_t num_ranks, int32_t max_blocks);

// data: contiguous, on 16 bytes, at most view.half_bytes; fp32, bf16 or fp16. The sum over ranks.
void peer_all_reduce(CudaQueue& queue, const PeerView& view, Tensor data);

// all + r * stride = the `bytes` <= view.half_bytes of rank r's `local`.
void peer_all_gather(CudaQueue& queue,
                     const PeerView& view,
                     const std::byte* local,
                     int64_t bytes,
                     std::byte* all,
                     int64_t stride);

void peer_broadcast(
    CudaQueue& queue, const PeerView& view, std::byte* data, int64_t bytes, int32_t root);

// out = the sum of the tensors at parts + r * stride, in rank order; contiguous, on 16 bytes. For
// sums whose parts came over a network.
void add_in_rank_order(
    CudaQueue& queue, const std::byte* parts, int64_t stride, int32_t num_parts, Tensor out);

// Loads the kernels: a module that is loaded while another rank's kernel waits would wait for it.
cudaError_t prepare_peer_reduce();

}  // namespace trireme::cuda
