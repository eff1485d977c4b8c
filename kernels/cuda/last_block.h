// Which of several blocks of a launch comes last, to go on where all of them have ended. For device
// code alone.
#pragma once

#include "kernels/cuda/arch.h"

namespace trireme::cuda {

// Whether this block is the last of `count` to arrive at `counter`; what the others wrote before is
// then visible to all its threads. The whole block calls it. The counter is zero before the first
// arrival and after the last one. `word` is shared memory, not in use when this is called.
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
