// A wait of the host for a stream, with a limit.
#pragma once

#include <cuda_runtime.h>

#include "base/clock.h"
#include "base/spin_wait.h"

namespace trireme {

// The stream's error, if any. cudaErrorNotReady: its work was not done within the limit.
inline cudaError_t wait_for(cudaStream_t stream, TimeUs limit_us) {
  SteadyClock clock;
  SpinWait patience(clock, clock.now_us() + limit_us);
  cudaError_t state = cudaStreamQuery(stream);
  while (state == cudaErrorNotReady && patience.wait()) state = cudaStreamQuery(stream);
  return state;
}

}  // namespace trireme
