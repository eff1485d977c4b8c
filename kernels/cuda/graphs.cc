#include "base/check.h"
#include "kernels/cuda/backend.h"

namespace trireme::cuda {
namespace {

// A graph of the work that `enqueue` puts on the queue's stream, uploaded; null if that fails.
cudaGraphExec_t record(CudaQueue& queue, const std::function<void()>& enqueue) {
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
  if (ready != nullptr) {
    queue.check(cudaGraphUpload(ready, queue.stream()), "the upload of a graph");
    queue.check(cudaStreamSynchronize(queue.stream()), "the upload of a graph");
  }
  return ready;
}

}  // namespace

// Graph nodes are never updated: everything that changes from step to step is read from device
// memory. A step of the same shape must have run before, so that modules which libraries load
// lazily are not loaded in a capture. Instantiation and upload may take memory, so both are done
// here: a launch after that takes none. A step whose capture fails for want of memory runs
// uncaptured, with its padding. The caller bounds the number of keys
// (worker/step/captured_steps.h).
void CudaBackend::capture(Queue& queue, const StepKey& key, const std::function<void()>& enqueue) {
  CudaQueue& stream = cuda_queue(queue);
  StepGraph graph(record(stream, enqueue));
  if (!graph || !stream.is_usable()) return;
  graphs_[key] = {std::move(graph), &queue};
}

void CudaBackend::run(Queue& queue, const StepKey& key, const std::function<void()>& enqueue) {
  const auto found = graphs_.find(key);
  if (found == graphs_.end()) return enqueue();
  const CapturedStep& step = found->second;
  CHECK_THAT(step.queue == &queue, "a captured step belongs to its queue");
  CudaQueue& stream = cuda_queue(queue);
  if (!stream.is_usable()) return;
  stream.check(cudaGraphLaunch(step.graph.get(), stream.stream()), "the launch of a step");
}

}  // namespace trireme::cuda
