#include "kernels/cuda/backend.h"

namespace trireme::cuda {
namespace {

// What `enqueue` puts on the queue's stream, ready to be launched; null after a failure, which the
// queue keeps.
cudaGraphExec_t record(CudaQueue& queue, const std::function<void()>& enqueue) {
  // Only this thread's calls are watched: other ranks of the process may allocate meanwhile.
  queue.check(cudaStreamBeginCapture(queue.stream(), cudaStreamCaptureModeThreadLocal),
              "the start of a recording");
  if (!queue.is_usable()) return nullptr;
  enqueue();
  cudaGraph_t graph = nullptr;
  queue.check(cudaStreamEndCapture(queue.stream(), &graph), "the end of a recording");
  if (graph == nullptr) return nullptr;
  cudaGraphExec_t ready = nullptr;
  queue.check(cudaGraphInstantiate(&ready, graph, 0), "the making of a graph");
  cudaGraphDestroy(graph);
  return ready;
}

}  // namespace

// No node is ever updated: what changes from step to step is read on the device.
void CudaBackend::run(Queue& queue, const StepKey& key, const std::function<void()>& enqueue) {
  CudaQueue& stream = cuda_queue(queue);
  if (key.num_tokens == 0) {
    enqueue();
    return;
  }
  const auto [found, is_new] = graphs_.try_emplace(key, nullptr);
  if (is_new) found->second = record(stream, enqueue);
  if (found->second == nullptr || !stream.is_usable()) return;
  stream.check(cudaGraphLaunch(found->second, stream.stream()), "the launch of a step");
}

void CudaBackend::forget_steps() {
  for (const auto& [key, graph] : graphs_) {
    if (graph != nullptr) cudaGraphExecDestroy(graph);
  }
  graphs_.clear();
}

}  // namespace trireme::cuda
