// A stream of the device, the arrival counters of its launches, and its first failure. Owner: the
// caller of make_queue(). Used by the backend's thread.
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
  // `num_blocks`: the SM budget; grids that do not follow from shapes are derived from it.
  // `counters`: kArrivalCounters zeroed words, or empty: then no op counts arrivals.
  CudaQueue(cudaStream_t stream, cudaEvent_t event, int32_t num_blocks, Buffer counters = {})
      : stream_(stream), event_(event), num_blocks_(num_blocks), counters_(std::move(counters)) {}
  ~CudaQueue() override;
  CudaQueue(const CudaQueue&) = delete;
  CudaQueue& operator=(const CudaQueue&) = delete;

  cudaStream_t stream() const { return stream_; }
  cudaEvent_t event() const { return event_; }  // for order() and wait()
  int32_t num_blocks() const { return num_blocks_; }
  // For kernels whose blocks find out which of them arrives last. Launches of a queue do not
  // overlap, and each leaves zeros behind; every queue has its own. Null: none.
  uint32_t* counters() const { return reinterpret_cast<uint32_t*>(counters_.data()); }

  bool is_usable() const { return failure_.ok(); }
  const Status& failure() const { return failure_; }
  // Keeps the first error, named with `operation` (TRI-CUDA-001).
  void check(cudaError_t error, const char* operation);

  // Whether enqueued work is unfinished. False while the queue captures and after a failure.
  bool has_work() const;
  // For an observer that may outlive the queue: expires with it.
  std::weak_ptr<CudaQueue> watch() const { return alive_; }

 private:
  cudaStream_t stream_;
  cudaEvent_t event_;
  int32_t num_blocks_;
  Buffer counters_;
  Status failure_;
  // Never shared: gives watch() an object that expires with this queue.
  const std::shared_ptr<CudaQueue> alive_{this, [](CudaQueue*) {}};
};

inline CudaQueue& cuda_queue(Queue& queue) { return static_cast<CudaQueue&>(queue); }

}  // namespace trireme::cuda
