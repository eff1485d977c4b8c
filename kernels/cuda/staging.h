// Pinned memory through which small host values reach the device in a queue's order, so that the
// caller may reuse his own at once. A ring: a piece is reused when its copy has run. Owner: the
// backend; used by its thread.
#pragma once

#include <cuda_runtime.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "kernels/cuda/cuda_queue.h"

namespace trireme::cuda {

class Staging {
 public:
  Staging() = default;
  ~Staging();
  Staging(const Staging&) = delete;
  Staging& operator=(const Staging&) = delete;

  cudaError_t open();
  // Larger values go piece by piece, and wait for a piece of the ring where all are on their way,
  // at most for a minute.
  void copy(CudaQueue& queue, std::byte* device, std::span<const std::byte> host);

 private:
  static constexpr int64_t kPieceBytes = 16 << 10;
  static constexpr size_t kNumPieces = 256;  // 4 MiB: the opens of many requests at once

  std::byte* memory_ = nullptr;
  std::array<cudaEvent_t, kNumPieces> copied_ = {};
  size_t next_ = 0;
};

}  // namespace trireme::cuda
