// Finds out which of several blocks of a launch arrives last: the one that continues with the
// results of all of them. Device code only.
#pragma once

#include "kernels/cuda/arch.h"

namespace trireme::cuda {

// Whether this block is the last of `count` to arrive at `counter`; the earlier stores of the
// others (store_grid()) are then visible to all its threads. Called by the whole block. The counter
// is zero before the first arrival and after the last. `word` is shared memory, unused at the time
// of the call.
//
// One thread's read-modify-write orders the stores of all: a barrier puts those of its block before
// its release, which is cumulative, and the loads of its block behind its acquire (PTX ISA, memory
// consistency model: causality order). No thread needs a fence of its own.
__device__ __forceinline__ bool arrives_last(uint32_t* counter, int32_t count, int32_t* word) {
  __syncthreads();  // the release is of all
  if (threadIdx.x == 0) {
    const bool is_last = add_acquire_release(counter, 1) == static_cast<uint32_t>(count - 1);
    if (is_last) *counter = 0;
    *word = is_last;
  }
  __syncthreads();
  return *word != 0;
}

}  // namespace trireme::cuda
