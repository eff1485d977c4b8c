#include "base/check.h"
#include "kernels/cuda/backend.h"

namespace trireme::cuda {
namespace {

// Captures the work that `enqueue` puts on the queue's stream into a graph; null if that fails.
cudaGraphExec_t capture(CudaQueue& queue, const std::function<void()>& enqueue) {
  // Thread-local mode: other ranks of the process may allocate meanwhile.
  queue.check(cudaStreamBeginCapture(queue.stream(), cudaStreamCaptureModeThreadLocal),
              "the start of a graph capture");
  if (!queue.is_usable()) return nullptr;
  enqueue();
  cudaGraph_t graph = nullptr;
  queue.check(cudaStreamEndCapture(queue.stream(), &graph), "the end of a graph capture");
  if (graph == nullptr) return nullptr;
  cudaGraphExec_t ready = nullptr;
  if (cudaGraphInstantiate(&ready, graph, 0) != cudaSuccess) {
    cudaGetLastError();  // running out of memory here leaves the device usable
    ready = nullptr;
  }
  cudaGraphDestroy(graph);
  return ready;
}

}  // namespace

// Graph nodes are never updated: everything that changes from step to step is read from device
// memory. The first step of a key runs without capture, so that modules which libraries load lazily
// are not loaded during one. A step whose capture fails for want of memory runs uncaptured too,
// with its padding. The caller bounds the number of keys (worker/step/captured_steps.h).
void CudaBackend::run(Queue& queue, const StepKey& key, const std::function<void()>& enqueue) {
  CudaQueue& stream = cuda_queue(queue);
  auto found = graphs_.find(key);
  const bool is_first = found == graphs_.end();
  if (key.num_tokens == 0 || is_first) {
    if (key.num_tokens > 0) graphs_[key].queue = &queue;
    enqueue();
    return;
  }
  CapturedStep& step = found->second;
  CHECK_THAT(step.queue == &queue, "a captured step belongs to its queue");
  if (!step.is_tried) step.graph = StepGraph(capture(stream, enqueue));
  step.is_tried = true;
  if (!step.graph) {
    enqueue();
    return;
  }
  if (stream.is_usable()) {
    stream.check(cudaGraphLaunch(step.graph.get(), stream.stream()), "the launch of a step");
  }
}

}  // namespace trireme::cuda
