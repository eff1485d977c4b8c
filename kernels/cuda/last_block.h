// Finds out which of several blocks of a launch arrives last: the one that continues with the
// results of all of them. Device code only.
#pragma once

#include "kernels/cuda/arch.h"

namespace trireme::cuda {

// Whether this block is the last of `count` to arrive at `counter`; the earlier writes of the
// others are then visible to all its threads. Called by the whole block. The counter is zero before
// the first arrival and after the last. `word` is shared memory, unused at the time of the call.
__device__ __forceinline__ bool arrives_last(uint32_t* counter, int32_t count, int32_t* word) {
  __threadfence();
  __syncthreads();
  if (threadIdx.x == 0) {
    const bool is_last = add_acquire_release(counter, 1) == static_cast<uint32_t>(count - 1);
    if (is_last) *counter = 0;
    *word = is_last;
  }
  __syncthreads();
  const bool is_last = *word != 0;
  if (is_last) __threadfence();
  return is_last;
}

}  // namespace trireme::cuda
