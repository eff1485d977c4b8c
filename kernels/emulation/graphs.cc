// Stream capture and replay. A captured node keeps the values of its arguments; the memory that its
// pointers refer to is read when it runs.
#include <algorithm>

#include "kernels/emulation/runtime.h"

using trireme::emulation::enter;
using trireme::emulation::Graph;
using trireme::emulation::GraphNode;
using trireme::emulation::QueuePlace;
using trireme::emulation::result;
using trireme::emulation::Runtime;
using trireme::emulation::Task;
using trireme::emulation::WorkPtr;

cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode mode) {
  if (const cudaError_t error = enter("cudaStreamBeginCapture", stream)) return error;
  if (stream == nullptr) return result(cudaErrorStreamCaptureUnsupported);
  Runtime& runtime = Runtime::instance();
  const std::lock_guard lock(runtime.mutex);
  if (stream->capture != nullptr) return result(cudaErrorStreamCaptureUnsupported);
  stream->capture = std::make_shared<Graph>();
  stream->capture->thread = std::this_thread::get_id();
  stream->capture->mode = mode;
  stream->is_origin = true;
  std::erase_if(runtime.captures, [](const auto& graph) { return graph.expired(); });
  runtime.captures.push_back(stream->capture);
  return cudaSuccess;
}

namespace {

// Whether every node of the graph is in `last` or precedes a node of it.
bool is_joined(const Graph& graph, const std::vector<size_t>& last) {
  std::vector<bool> is_before(graph.nodes.size());
  for (const size_t node : last) is_before[node] = true;
  for (size_t node = graph.nodes.size(); node-- > 0;) {
    if (!is_before[node]) return false;
    for (const size_t earlier : graph.nodes[node].dependencies) is_before[earlier] = true;
  }
  return true;
}

void leave_capture(CUstream_st& stream) {
  stream.capture = nullptr;
  stream.capture_last.clear();
  stream.is_origin = false;
}

}  // namespace

cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t* graph) {
  if (const cudaError_t error = enter("cudaStreamEndCapture", stream)) return error;
  *graph = nullptr;
  Runtime& runtime = Runtime::instance();
  const std::lock_guard lock(runtime.mutex);
  const std::shared_ptr<Graph> captured = stream->capture;
  if (captured == nullptr) return result(cudaErrorInvalidValue);
  if (!stream->is_origin) return result(cudaErrorStreamCaptureUnmatched);
  const bool joined = is_joined(*captured, stream->capture_last);
  for (CUstream_st* other : runtime.streams) {
    if (other->capture == captured) leave_capture(*other);
  }
  std::erase_if(runtime.captures, [&](const auto& weak) { return weak.lock() == captured; });
  if (captured->is_invalid) return result(cudaErrorStreamCaptureInvalidated);
  if (!joined) return result(cudaErrorStreamCaptureUnjoined);
  *graph = new CUgraph_st{captured};
  return cudaSuccess;
}

cudaError_t cudaStreamIsCapturing(cudaStream_t stream, cudaStreamCaptureStatus* status) {
  Runtime& runtime = Runtime::instance();
  const std::lock_guard lock(runtime.mutex);
  *status = cudaStreamCaptureStatusNone;
  if (stream != nullptr && stream->capture != nullptr) {
    *status = stream->capture->is_invalid ? cudaStreamCaptureStatusInvalidated
                                          : cudaStreamCaptureStatusActive;
  }
  return cudaSuccess;
}

cudaError_t cudaGraphGetNodes(cudaGraph_t graph, cudaGraphNode_t* nodes, size_t* count) {
  if (nodes != nullptr) return result(cudaErrorNotSupported);
  *count = graph->graph->nodes.size();
  return cudaSuccess;
}

cudaError_t cudaGraphInstantiate(cudaGraphExec_t* exec, cudaGraph_t graph, unsigned long long) {
  if (const cudaError_t error = enter("cudaGraphInstantiate")) return error;
  *exec = nullptr;
  Runtime& runtime = Runtime::instance();
  std::unique_lock lock(runtime.mutex);
  const int device = trireme::emulation::current_device();
  runtime.wait_for_device(lock, device, "cudaGraphInstantiate");
  const int64_t bytes = trireme::emulation::settings().graph_bytes;
  int64_t& allocated = runtime.allocated[static_cast<size_t>(device)];
  if (bytes > trireme::emulation::settings().device_bytes - allocated) {
    return result(cudaErrorMemoryAllocation);
  }
  allocated += bytes;
  *exec = new CUgraphExec_st{graph->graph, device, bytes, false, nullptr};
  return cudaSuccess;
}

namespace {

// Device memory for a graph's nodes may be taken now.
void upload(Runtime& runtime, CUgraphExec_st& exec, std::unique_lock<std::mutex>& lock) {
  if (exec.is_uploaded) return;
  runtime.wait_for_device(lock, exec.device, "the upload of a graph");
  exec.is_uploaded = true;
}

}  // namespace

cudaError_t cudaGraphUpload(cudaGraphExec_t exec, cudaStream_t stream) {
  if (const cudaError_t error = enter("cudaGraphUpload", stream)) return error;
  Runtime& runtime = Runtime::instance();
  std::unique_lock lock(runtime.mutex);
  if (trireme::emulation::resolve(stream)->capture != nullptr) {
    return result(cudaErrorStreamCaptureUnsupported);
  }
  upload(runtime, *exec, lock);
  return cudaSuccess;
}

namespace {

// Enqueues all nodes after `before`; returns the work that ends the graph. The nodes take one place
// in the stream's hardware queue: among one another only the graph orders them.
WorkPtr enqueue_graph(Runtime& runtime,
                      const Graph& graph,
                      const CUstream_st& stream,
                      const std::vector<WorkPtr>& before) {
  const QueuePlace place = runtime.next_place(stream);
  std::vector<WorkPtr> works;
  std::vector<bool> has_dependents(graph.nodes.size());
  for (const GraphNode& node : graph.nodes) {
    std::vector<WorkPtr> dependencies;
    for (const size_t earlier : node.dependencies) {
      dependencies.push_back(works[earlier]);
      has_dependents[earlier] = true;
    }
    if (dependencies.empty()) dependencies = before;
    const bool is_elsewhere = node.device != stream.device;
    works.push_back(runtime.device(node.device)
                        .enqueue(node.task, dependencies, is_elsewhere ? QueuePlace() : place));
  }
  std::vector<WorkPtr> ends = before;
  for (size_t i = 0; i < works.size(); ++i) {
    if (!has_dependents[i]) ends.push_back(works[i]);
  }
  Task task;
  task.name = "end of a graph";
  return runtime.device(stream.device).enqueue(std::move(task), ends, place);
}

}  // namespace

cudaError_t cudaGraphLaunch(cudaGraphExec_t exec, cudaStream_t stream) {
  if (const cudaError_t error = enter("cudaGraphLaunch", stream)) return error;
  stream = trireme::emulation::resolve(stream);
  Runtime& runtime = Runtime::instance();
  std::unique_lock lock(runtime.mutex);
  if (stream->capture != nullptr) return result(cudaErrorNotSupported);
  upload(runtime, *exec, lock);  // a launch uploads what was not uploaded before
  exec->last = enqueue_graph(runtime, *exec->graph, *stream, {stream->last, exec->last});
  stream->last = exec->last;
  return cudaSuccess;
}

cudaError_t cudaGraphDestroy(cudaGraph_t graph) {
  if (const cudaError_t error = enter("cudaGraphDestroy")) return error;
  delete graph;
  return cudaSuccess;
}

cudaError_t cudaGraphExecDestroy(cudaGraphExec_t exec) {
  if (const cudaError_t error = enter("cudaGraphExecDestroy")) return error;
  Runtime& runtime = Runtime::instance();
  const std::lock_guard lock(runtime.mutex);
  runtime.allocated[static_cast<size_t>(exec->device)] -= exec->bytes;
  delete exec;
  return cudaSuccess;
}
