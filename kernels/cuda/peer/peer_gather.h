// All-gather and broadcast of small pieces among ranks that see one another's memory (PeerView).
// Every rank enqueues the same calls with the same sizes. Used by a Comm over peer memory.
#pragma once

#include <cuda_runtime.h>

#include <cstdint>

#include "kernels/cuda/cuda_queue.h"
#include "kernels/peer_view.h"

namespace trireme::cuda {

// all + r * stride = the `bytes` <= view.half_bytes of rank r's `local`, for every rank r.
void peer_all_gather(CudaQueue& queue,
                     const PeerView& view,
                     const std::byte* local,
                     int64_t bytes,
                     std::byte* all,
                     int64_t stride);

// data = the `bytes` <= view.half_bytes of `data` of rank `root`.
void peer_broadcast(
    CudaQueue& queue, const PeerView& view, std::byte* data, int64_t bytes, int32_t root);

// Loads the kernels ahead of their first launch: loading a module waits for running kernels, and
// one of another rank may be waiting for this rank. Lowers `resident_blocks`, unless it is 0, to
// the blocks of these kernels that an SM holds.
cudaError_t prepare_peer_gather(int32_t& resident_blocks);

}  // namespace trireme::cuda
