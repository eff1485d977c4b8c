// A ring of pinned memory through which small host values reach the device in queue order, so that
// the caller may reuse its own memory at once. A piece is reused once its copy has run. Owner: the
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
  // Copies larger values piece by piece; waits for a free piece if all are in use, at most one
  // minute.
  void copy(CudaQueue& queue, std::byte* device, std::span<const std::byte> host);

 private:
  static constexpr int64_t kPieceBytes = 16 << 10;
  static constexpr size_t kNumPieces = 256;  // 4 MiB: many slots opened at once

  std::byte* memory_ = nullptr;
  std::array<cudaEvent_t, kNumPieces> copied_ = {};
  size_t next_ = 0;
};

}  // namespace trireme::cuda
