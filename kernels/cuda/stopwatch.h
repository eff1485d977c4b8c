// Times work of a queue on the device: as a graph of several repetitions, so that the host's time
// per launch does not show in work of a few microseconds. Waits for the queue; not for use in a
// step. Owner: the caller.
#pragma once

#include <cuda_runtime.h>

#include <functional>

#include "base/handle.h"
#include "kernels/cuda/cuda_queue.h"

namespace trireme::cuda {

class Stopwatch {
 public:
  Stopwatch();

  // Microseconds of one enqueue(i) with i = 0 .. count - 1 in turn: the smallest mean of a few
  // replays of one graph. Infinity if enqueue() returns false, if its work cannot be captured, or
  // if the device fails; only the last of them makes the queue unusable.
  using Enqueue = std::function<bool(size_t)>;
  float time_us(CudaQueue& queue, size_t count, const Enqueue& enqueue);

 private:
  using Event = Handle<cudaEvent_t, cudaEventDestroy>;
  using Graph = Handle<cudaGraphExec_t, cudaGraphExecDestroy>;

  static Event make_event();
  static Graph capture(CudaQueue& queue, size_t count, const Enqueue& enqueue);
  float replay_us(CudaQueue& queue, const Graph& graph);

  Event start_;
  Event stop_;
};

}  // namespace trireme::cuda
