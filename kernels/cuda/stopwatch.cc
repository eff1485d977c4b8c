#include "kernels/cuda/stopwatch.h"

#include <algorithm>
#include <limits>

#include "base/check.h"

namespace trireme::cuda {
namespace {

constexpr size_t kRepetitions = 10;      // nodes, or groups of nodes, of a graph
constexpr int kReplays = 3;              // the fastest counts: others shared the device
constexpr float kLongReplayUs = 10'000;  // is not repeated
constexpr float kFailed = std::numeric_limits<float>::infinity();

}  // namespace

Stopwatch::Stopwatch() : start_(make_event()), stop_(make_event()) {}

Stopwatch::Event Stopwatch::make_event() {
  cudaEvent_t event = nullptr;
  CHECK(cudaEventCreate(&event) == cudaSuccess);
  return Event(event);
}

float Stopwatch::time_us(CudaQueue& queue, size_t count, const Enqueue& enqueue) {
  // Plain first: a library may load modules, which a capture does not allow.
  if (!queue.is_usable() || !enqueue(0)) return kFailed;
  queue.check(cudaStreamSynchronize(queue.stream()), "a matmul that is timed");
  if (!queue.is_usable()) return kFailed;
  const Graph graph = capture(queue, count, enqueue);
  if (!graph || !queue.is_usable()) return kFailed;
  queue.check(cudaGraphUpload(graph.get(), queue.stream()), "the upload of a timed graph");
  float best_us = kFailed;
  for (int i = 0; i < kReplays && queue.is_usable(); ++i) {
    const float time_us = replay_us(queue, graph);
    best_us = std::min(best_us, time_us);
    if (time_us > kLongReplayUs) break;
  }
  return best_us / static_cast<float>(kRepetitions);
}

Stopwatch::Graph Stopwatch::capture(CudaQueue& queue, size_t count, const Enqueue& enqueue) {
  queue.check(cudaStreamBeginCapture(queue.stream(), cudaStreamCaptureModeThreadLocal),
              "the capture of a timed matmul");
  if (!queue.is_usable()) return {};
  bool is_whole = true;
  for (size_t i = 0; i < kRepetitions && is_whole; ++i) is_whole = enqueue(i % count);
  cudaGraph_t graph = nullptr;
  cudaGraphExec_t ready = nullptr;
  const bool is_captured = cudaStreamEndCapture(queue.stream(), &graph) == cudaSuccess && is_whole;
  if (is_captured && cudaGraphInstantiate(&ready, graph, 0) != cudaSuccess) ready = nullptr;
  if (graph != nullptr) cudaGraphDestroy(graph);
  cudaGetLastError();  // what cannot be captured leaves the device usable
  return Graph(ready);
}

float Stopwatch::replay_us(CudaQueue& queue, const Graph& graph) {
  queue.check(cudaEventRecord(start_.get(), queue.stream()), "timing a matmul");
  queue.check(cudaGraphLaunch(graph.get(), queue.stream()), "timing a matmul");
  queue.check(cudaEventRecord(stop_.get(), queue.stream()), "timing a matmul");
  queue.check(cudaEventSynchronize(stop_.get()), "timing a matmul");
  float time_ms = 0;
  queue.check(cudaEventElapsedTime(&time_ms, start_.get(), stop_.get()), "timing a matmul");
  return queue.is_usable() ? time_ms * 1000 : kFailed;
}

}  // namespace trireme::cuda
