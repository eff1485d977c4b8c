// A stream of the device, the counters of its launches, and the first failure on it. Owner: who
// asked the backend for it; used by the backend's thread.
#pragma once

#include <cuda_runtime.h>

#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include "base/status.h"
#include "kernels/backend.h"

namespace trireme::cuda {

constexpr int32_t kArrivalCounters = 512;

class CudaQueue final : public Queue {
 public:
  // `num_blocks`: how many blocks a kernel that shares out its own work may launch (the budget).
  // `counters`: kArrivalCounters zeroed words, or nothing: then no op counts arrivals.
  CudaQueue(cudaStream_t stream, cudaEvent_t event, int32_t num_blocks, Buffer counters = {})
      : stream_(stream), event_(event), num_blocks_(num_blocks), counters_(std::move(counters)) {}
  ~CudaQueue() override;
  CudaQueue(const CudaQueue&) = delete;
  CudaQueue& operator=(const CudaQueue&) = delete;

  cudaStream_t stream() const { return stream_; }
  cudaEvent_t event() const { return event_; }  // for order() and wait()
  int32_t num_blocks() const { return num_blocks_; }
  // For kernels whose blocks count who arrives last. Launches of a queue do not overlap, and each
  // leaves zeros behind; another queue has its own. Null: none.
  uint32_t* counters() const { return reinterpret_cast<uint32_t*>(counters_.data()); }

  bool is_usable() const { return failure_.ok(); }
  const Status& failure() const { return failure_; }
  // Keeps the first error, named with `operation` (TRI-CUDA-001).
  void check(cudaError_t error, const char* operation);

  // Something that was enqueued is not done. A queue that records or has failed cannot be asked.
  bool has_work() const;
  // For who looks at the queue later: empty once it is gone.
  std::weak_ptr<CudaQueue> watch() const { return alive_; }

 private:
  cudaStream_t stream_;
  cudaEvent_t event_;
  int32_t num_blocks_;
  Buffer counters_;
  Status failure_;
  // Never shared: what watch() hands out must know of this object's end.
  const std::shared_ptr<CudaQueue> alive_{this, [](CudaQueue*) {}};
};

inline CudaQueue& cuda_queue(Queue& queue) { return static_cast<CudaQueue&>(queue); }

}  // namespace trireme::cuda
