// Whether a library's sum over ranks can be part of a captured graph: what a library does in a
// capture depends on its version and its transports, so it is tried once at start, before steps are
// captured.
#pragma once

#include <cuda_runtime.h>

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/status.h"
#include "worker/comm/comm.h"

namespace trireme {

constexpr int64_t kProbeCount = 64;  // fp32 elements of the sum
constexpr int64_t kProbeBytes = kProbeCount * int64_t{sizeof(float)};

struct CaptureProbe {
  std::string name;                // "the tensor group"
  std::string library;             // "NCCL 2.28.3"
  std::vector<std::string> peers;  // by rank
  float* values = nullptr;         // device memory, kProbeCount elements
  cudaStream_t stream = nullptr;
  std::function<cudaError_t()> sum;  // enqueues values = the sum over ranks of values on the stream
  TimeUs limit_us = 30'000'000;      // of each of its two runs
};

// Runs the sum plainly, captures it, and runs the graph once all ranks have made theirs. Collective
// over the host communicator `control`, on the rank's current device. TRI-CUDA-023: a call failed,
// or a sum was wrong or late; other ranks get TRI-CUDA-016.
Status probe_captured_sum(Comm& control, const CaptureProbe& probe);

}  // namespace trireme
