// Copies weights to the device through two halves of pinned memory: the host fills one while the
// other is copied. A packed weight never exists as a whole in host memory. Runs on the stream of
// the lane: one of its own would take a hardware queue. Owner: the backend, from its first pack()
// on; used by the backend's thread.
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
  // `stream` outlives this. TRI-CUDA-001: the pinned memory or its events could not be created.
  static StatusOr<std::unique_ptr<WeightStream>> make(cudaStream_t stream);

  // Writes `elements` 16-bit elements to `device`. Calls fill(first, count, to) for consecutive
  // pieces; it writes elements [first, first + count) to `to`. Returns when the copy is complete.
  using Fill = std::function<void(int64_t first, int64_t count, uint16_t* to)>;
  Status write(uint16_t* device, int64_t elements, const Fill& fill);

 private:
  // 4 MiB take 80 us at 50 GB/s, far longer than starting a copy, and stay in the last-level cache.
  static constexpr int64_t kHalfElements = (4 << 20) / int64_t{sizeof(uint16_t)};

  explicit WeightStream(cudaStream_t stream) : stream_(stream) {}
  cudaError_t open();
  cudaError_t copy(uint16_t* device, int64_t elements, const Fill& fill);

  const cudaStream_t stream_;
  Handle<void*, cudaFreeHost> pinned_;
  Handle<cudaEvent_t, cudaEventDestroy> copied_[2];  // signals that a half may be refilled
};

}  // namespace trireme::cuda
