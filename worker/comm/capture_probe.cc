#include "worker/comm/capture_probe.h"

#include <algorithm>

#include "base/handle.h"
#include "worker/comm/host_collectives.h"
#include "worker/comm/stream_wait.h"

namespace trireme {
namespace {

using GraphExec = Handle<cudaGraphExec_t, cudaGraphExecDestroy>;

Status uncapturable(const CaptureProbe& probe, cudaError_t error) {
  if (error == cudaSuccess) return ok_status();
  return invalid("TRI-CUDA-023",
                 "{}: a sum of {} cannot be captured in a graph, or has another result there ({}): "
                 "install another version of it, or place the ranks of a stage on one host",
                 probe.name,
                 probe.library,
                 cudaGetErrorString(error));
}

// Rank r contributes r + 1 to every element.
cudaError_t run(Comm& control, const CaptureProbe& probe, const std::function<cudaError_t()>& sum) {
  std::vector<float> host(kProbeCount, static_cast<float>(control.rank() + 1));
  const auto bytes = static_cast<size_t>(kProbeBytes);
  cudaError_t error =
      cudaMemcpyAsync(probe.values, host.data(), bytes, cudaMemcpyHostToDevice, probe.stream);
  if (error == cudaSuccess) error = cudaStreamSynchronize(probe.stream);
  if (error == cudaSuccess) error = sum();
  if (error == cudaSuccess) error = wait_for(probe.stream, probe.limit_us);
  if (error != cudaSuccess) return error;
  error = cudaMemcpyAsync(host.data(), probe.values, bytes, cudaMemcpyDeviceToHost, probe.stream);
  if (error == cudaSuccess) error = cudaStreamSynchronize(probe.stream);
  const int sum_of_ranks = control.size() * (control.size() + 1) / 2;
  const auto wanted = static_cast<float>(sum_of_ranks);
  const bool is_sum = std::ranges::all_of(host, [&](float value) { return value == wanted; });
  return error != cudaSuccess || is_sum ? error : cudaErrorUnknown;
}

cudaError_t capture(const CaptureProbe& probe, GraphExec& exec) {
  cudaError_t error = cudaStreamBeginCapture(probe.stream, cudaStreamCaptureModeThreadLocal);
  if (error != cudaSuccess) return error;
  error = probe.sum();
  cudaGraph_t graph = nullptr;
  const cudaError_t ended = cudaStreamEndCapture(probe.stream, &graph);
  if (error == cudaSuccess) error = ended;
  const Handle<cudaGraph_t, cudaGraphDestroy> owner(graph);
  if (error != cudaSuccess) return error;
  cudaGraphExec_t made = nullptr;
  error = cudaGraphInstantiate(&made, graph, 0);
  exec = GraphExec(made);
  return error == cudaSuccess ? cudaGraphUpload(made, probe.stream) : error;
}

}  // namespace

Status probe_captured_sum(Comm& control, const CaptureProbe& probe) {
  SteadyClock clock;
  const auto agree_on = [&](cudaError_t error) {
    if (error != cudaSuccess) cudaGetLastError();  // not an error of a later call
    control.set_deadline(clock.now_us() + 2 * probe.limit_us);
    return agree(control, uncapturable(probe, error), probe.peers);
  };
  GraphExec exec;
  cudaError_t error = run(control, probe, probe.sum);
  if (error == cudaSuccess) error = capture(probe, exec);
  RETURN_IF_ERROR(agree_on(error));  // no rank launches before all are ready
  return agree_on(run(control, probe, [&] { return cudaGraphLaunch(exec.get(), probe.stream); }));
}

}  // namespace trireme
