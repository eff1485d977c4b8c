// The way of weights to the device: two halves of pinned memory, one of which the host fills while
// the other is copied. No weight ever lies whole in host memory in the device's layout.
// Owner: the backend, which makes it at its first pack(); used by the backend's thread.
#pragma once

#include <cuda_runtime.h>

#include <cstdint>
#include <functional>
#include <memory>

#include "base/handle.h"
#include "base/status.h"

namespace trireme::cuda {

class WeightStream {
 public:
  // TRI-CUDA-001 if the pinned memory, the stream or its events cannot be had.
  static StatusOr<std::unique_ptr<WeightStream>> make();

  // Writes `elements` 16-bit elements to `device`: fill(first, count, to) is called for consecutive
  // pieces and writes elements [first, first + count) to `to`. Done when it returns.
  using Fill = std::function<void(int64_t first, int64_t count, uint16_t* to)>;
  Status write(uint16_t* device, int64_t elements, const Fill& fill);

 private:
  // 4 MiB take 80 us at 50 GB/s, far more than a copy's start, and stay in the last cache.
  static constexpr int64_t kHalfElements = (4 << 20) / int64_t{sizeof(uint16_t)};

  WeightStream() = default;
  cudaError_t open();
  cudaError_t copy(uint16_t* device, int64_t elements, const Fill& fill);

  Handle<void*, cudaFreeHost> pinned_;
  Handle<cudaStream_t, cudaStreamDestroy> stream_;
  Handle<cudaEvent_t, cudaEventDestroy> copied_[2];  // the half may be filled again
};

}  // namespace trireme::cuda
