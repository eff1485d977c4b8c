// Gather of rows of logits among ranks that see one another's memory (PeerView): those rows that
// draw_whole() needs, each at the rank that draws it. Every rank enqueues the same calls. Used by a
// Comm over peer memory.
#pragma once

#include <cuda_runtime.h>

#include <cstdint>
#include <span>

#include "kernels/cuda/cuda_queue.h"
#include "kernels/peer_view.h"
#include "kernels/sampling_row.h"
#include "kernels/tensor.h"

namespace trireme::cuda {

// whole[i - first, columns[r] .. columns[r + 1]) = rank r's local[i, :], for every rank r and the
// rows i of [first, first + whole.rows) that rows[i].needs_whole_row(); the rest of `whole` stays.
// The number of rows (at most kMaxGatheredRows), `columns` and what `rows` points to are the same
// on every rank. fp32; the columns of a row are contiguous.
constexpr int32_t kMaxGatheredRows = 512;
void peer_gather_rows(CudaQueue& queue,
                      const PeerView& view,
                      const Tensor& local,
                      const SamplingRow* rows,
                      int32_t first,
                      const Tensor& whole,
                      std::span<const int64_t> columns);

// Loads the kernel ahead of its first launch, like prepare_peer_gather().
cudaError_t prepare_peer_rows(int32_t& resident_blocks);

}  // namespace trireme::cuda
