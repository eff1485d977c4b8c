#include "kernels/emulation/runtime.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>

#include "kernels/emulation/symbols.h"

namespace trireme::emulation {
namespace {

struct ThreadState {
  int device = 0;
  cudaError_t last_error = cudaSuccess;
};
thread_local ThreadState thread_state;

constexpr int kMaxDevices = 64;
constexpr size_t kSharedBytes = 48 * 1024;      // the limit without cudaFuncSetAttribute
constexpr int64_t kReservedSharedBytes = 1024;  // per block, by the driver

void stop_devices() {
  for (const auto& device : Runtime::instance().devices) device->stop();
}

}  // namespace

// Never destroyed: queues and buffers of static storage duration may use it at exit.
Runtime& Runtime::instance() {
  static Runtime* const runtime = new Runtime;
  return *runtime;
}

Runtime::Runtime() : num_streams_made(kMaxDevices), allocated(kMaxDevices) {
  for (int i = 0; i < kMaxDevices; ++i) {
    devices.push_back(std::make_unique<Device>(i, mutex, done, activity));
    default_streams.push_back(std::make_unique<CUstream_st>());
    default_streams.back()->device = i;
  }
  std::atexit(stop_devices);
}

void Runtime::begin_all() {
  for (const auto& device : devices) {
    if (!device->is_idle()) device->begin();
  }
}

void Runtime::wait(std::unique_lock<std::mutex>& lock, const WorkPtr& work) {
  while (work != nullptr && !work->is_done && !work->device->is_idle()) {
    begin_all();
    done.wait(lock);
  }
}

void Runtime::wait_for_device(std::unique_lock<std::mutex>& lock, int device, const char* call) {
  std::vector<WorkPtr> works = {default_streams[static_cast<size_t>(device)]->last};
  for (const CUstream_st* stream : streams) {
    if (stream->device == device) works.push_back(stream->last);
  }
  for (const WorkPtr& work : works) {
    while (work != nullptr && !work->is_done && !work->device->is_idle()) {
      begin_all();
      done.wait_for(lock, std::chrono::milliseconds(100));
      if (!activity.is_over()) continue;
      std::fprintf(
          stderr,
          "emulated CUDA: %s waits for all work of device %d, and nothing has run for %d s: "
          "work in progress may wait for the caller\n%s",
          call,
          device,
          settings().standstill_limit_s,
          this->device(device).running().c_str());
      std::fflush(stderr);
      std::abort();
    }
  }
}

QueuePlace Runtime::next_place(const CUstream_st& stream) {
  return {stream.queue, stream.index, ++num_launches};
}

int resident_blocks(int threads, int64_t shared_bytes) {
  const Limits limits = settings().limits;
  const int64_t by_shared =
      limits.shared_bytes_per_multiprocessor / (shared_bytes + kReservedSharedBytes);
  const int64_t by_threads = limits.threads_per_multiprocessor / threads;
  return static_cast<int>(std::min({by_shared, by_threads, int64_t{limits.max_blocks}}));
}

cudaError_t result(cudaError_t error) {
  if (error != cudaSuccess && error != cudaErrorNotReady) thread_state.last_error = error;
  return error;
}

int current_device() { return thread_state.device; }

cudaStream_t resolve(cudaStream_t stream) {
  if (stream != nullptr) return stream;
  return Runtime::instance().default_streams[static_cast<size_t>(current_device())].get();
}

namespace {

// The default stream runs after all earlier work of the device's blocking streams, and their later
// work runs after it.
std::vector<WorkPtr> dependencies_of(Runtime& runtime, const CUstream_st& stream) {
  const CUstream_st* shared = runtime.default_streams[static_cast<size_t>(stream.device)].get();
  std::vector<WorkPtr> before = {stream.last};
  if (&stream == shared) {
    for (const CUstream_st* other : runtime.streams) {
      if (other->is_blocking && other->device == stream.device) before.push_back(other->last);
    }
  } else if (stream.is_blocking) {
    before.push_back(shared->last);
  }
  return before;
}

// Whether work on the default stream would wait for a blocking stream of its device that is
// capturing. Non-blocking streams may capture beside it, on any thread.
bool would_wait_for_a_capture(Runtime& runtime, const CUstream_st& shared) {
  return std::any_of(runtime.streams.begin(), runtime.streams.end(), [&](const auto* stream) {
    return stream->is_blocking && stream->device == shared.device && stream->capture != nullptr;
  });
}

}  // namespace

cudaError_t submit(cudaStream_t stream, Task task) {
  Runtime& runtime = Runtime::instance();
  const std::lock_guard lock(runtime.mutex);
  if (stream->capture != nullptr) {
    std::vector<GraphNode>& nodes = stream->capture->nodes;
    nodes.push_back({std::move(task), stream->device, stream->capture_last});
    stream->capture_last = {nodes.size() - 1};
    return cudaSuccess;
  }
  const auto& shared = runtime.default_streams[static_cast<size_t>(stream->device)];
  if (stream == shared.get() && would_wait_for_a_capture(runtime, *shared)) {
    return result(cudaErrorStreamCaptureImplicit);
  }
  const std::vector<WorkPtr> before = dependencies_of(runtime, *stream);
  Device& device = runtime.device(stream->device);
  stream->last = device.enqueue(std::move(task), before, runtime.next_place(*stream));
  return cudaSuccess;
}

cudaError_t refuse_in_capture(Runtime& runtime) {
  for (const auto& weak : runtime.captures) {
    const auto graph = weak.lock();
    if (graph == nullptr || graph->mode == cudaStreamCaptureModeRelaxed) continue;
    if (graph->mode == cudaStreamCaptureModeThreadLocal &&
        graph->thread != std::this_thread::get_id()) {
      continue;
    }
    graph->is_invalid = true;
    return result(cudaErrorStreamCaptureUnsupported);
  }
  return cudaSuccess;
}

cudaError_t refuse_beside_a_capture(Runtime& runtime) {
  bool captures = false;
  for (const auto& weak : runtime.captures) {
    const auto graph = weak.lock();
    if (graph == nullptr) continue;
    graph->is_invalid = true;
    captures = true;
  }
  return captures ? result(cudaErrorStreamCaptureUnsupported) : cudaSuccess;
}

namespace {

Kernel read_config(const cudaLaunchConfig_t& config, const void* function) {
  Kernel kernel;
  kernel.function = function;
  kernel.grid = config.gridDim;
  kernel.block = config.blockDim;
  kernel.shared_bytes = config.dynamicSmemBytes;
  for (unsigned i = 0; i < config.numAttrs; ++i) {
    const cudaLaunchAttribute& attribute = config.attrs[i];
    if (attribute.id == cudaLaunchAttributeProgrammaticStreamSerialization) {
      kernel.overlaps = attribute.val.programmaticStreamSerializationAllowed != 0;
    } else if (attribute.id == cudaLaunchAttributeCooperative) {
      kernel.is_cooperative = attribute.val.cooperative != 0;
    }
  }
  return kernel;
}

bool is_valid(const Kernel& kernel, size_t shared_limit) {
  const dim3& grid = kernel.grid;
  const dim3& block = kernel.block;
  return grid.x > 0 && grid.y > 0 && grid.z > 0 && grid.y < 65536 && grid.z < 65536 &&
         grid.x < (1u << 31) && block.x > 0 && block.y > 0 && block.z > 0 && block.z <= 64 &&
         uint64_t{block.x} * block.y * block.z <= 1024 && kernel.shared_bytes <= shared_limit;
}

size_t shared_limit_of(const void* function) {
  Runtime& runtime = Runtime::instance();
  const std::lock_guard lock(runtime.mutex);
  const auto found = runtime.shared_limits.find(function);
  const int64_t allowed = found == runtime.shared_limits.end() ? kSharedBytes : found->second;
  return static_cast<size_t>(std::min(allowed, settings().limits.shared_bytes_per_block));
}

}  // namespace

cudaError_t launch_kernel(const cudaLaunchConfig_t& config,
                          const void* function,
                          std::function<void()> body) {
  const std::string name = is_tracing_calls() ? symbol_name(function) : "";
  const auto bytes = static_cast<int64_t>(config.dynamicSmemBytes);
  if (const cudaError_t error = enter("cudaLaunchKernelEx", config.stream, bytes, name)) {
    return error;
  }
  auto kernel = std::make_shared<Kernel>(read_config(config, function));
  if (!is_valid(*kernel, shared_limit_of(function))) return result(cudaErrorInvalidValue);
  if (kernel->is_cooperative &&
      kernel->num_blocks() > static_cast<uint64_t>(settings().num_multiprocessors)) {
    return result(cudaErrorCooperativeLaunchTooLarge);
  }
  kernel->body = std::move(body);
  Task task;
  task.name = "kernel";
  task.kernel = std::move(kernel);
  return submit(resolve(config.stream), std::move(task));
}

}  // namespace trireme::emulation

using trireme::emulation::enter;
using trireme::emulation::result;
using trireme::emulation::Runtime;
using trireme::emulation::settings;
using trireme::emulation::thread_state;

cudaError_t cudaGetLastError() {
  const cudaError_t error = thread_state.last_error;
  thread_state.last_error = cudaSuccess;
  return error;
}

cudaError_t cudaPeekAtLastError() { return thread_state.last_error; }

cudaError_t cudaGetDeviceCount(int* count) {
  *count = settings().num_devices;
  return *count > 0 ? cudaSuccess : result(cudaErrorNoDevice);
}

cudaError_t cudaSetDevice(int device) {
  if (device < 0 || device >= settings().num_devices) return result(cudaErrorInvalidDevice);
  thread_state.device = device;
  return cudaSuccess;
}

cudaError_t cudaGetDevice(int* device) {
  *device = thread_state.device;
  return cudaSuccess;
}

cudaError_t cudaGetDeviceProperties(cudaDeviceProp* properties, int device) {
  if (device < 0 || device >= settings().num_devices) return result(cudaErrorInvalidDevice);
  *properties = {};
  std::snprintf(properties->name, sizeof(properties->name), "emulated device %d", device);
  const trireme::emulation::Limits limits = settings().limits;
  properties->major = limits.major;
  properties->minor = limits.minor;
  properties->multiProcessorCount = settings().num_multiprocessors;
  properties->totalGlobalMem = static_cast<size_t>(settings().device_bytes);
  properties->sharedMemPerBlock = trireme::emulation::kSharedBytes;
  properties->sharedMemPerBlockOptin = static_cast<size_t>(limits.shared_bytes_per_block);
  properties->pciBusID = device + 1;
  return cudaSuccess;
}

cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr attribute, int device) {
  cudaDeviceProp properties;
  if (const cudaError_t error = cudaGetDeviceProperties(&properties, device)) return error;
  switch (attribute) {
    case cudaDevAttrMultiProcessorCount:
      *value = properties.multiProcessorCount;
      return cudaSuccess;
    case cudaDevAttrL2CacheSize:
      *value = 0;
      return cudaSuccess;
    case cudaDevAttrComputeCapabilityMajor:
      *value = properties.major;
      return cudaSuccess;
    case cudaDevAttrComputeCapabilityMinor:
      *value = properties.minor;
      return cudaSuccess;
    case cudaDevAttrCanFlushRemoteWrites:
      *value = settings().can_flush_remote_writes ? 1 : 0;
      return cudaSuccess;
    case cudaDevAttrMaxSharedMemoryPerBlockOptin:
      *value = static_cast<int>(properties.sharedMemPerBlockOptin);
      return cudaSuccess;
  }
  return result(cudaErrorInvalidValue);
}

cudaError_t cudaDeviceGetStreamPriorityRange(int* least, int* greatest) {
  *least = 0;
  *greatest = -5;
  return cudaSuccess;
}

cudaError_t cudaDeviceCanAccessPeer(int* can, int device, int peer) {
  if (const cudaError_t error = enter("cudaDeviceCanAccessPeer")) return error;
  *can = device != peer;
  return cudaSuccess;
}

cudaError_t cudaDeviceEnablePeerAccess(int peer, unsigned) {
  if (const cudaError_t error = enter("cudaDeviceEnablePeerAccess")) return error;
  if (peer < 0 || peer >= settings().num_devices || peer == thread_state.device) {
    return result(cudaErrorInvalidDevice);
  }
  return cudaSuccess;
}

cudaError_t cudaDriverGetVersion(int* version) {
  *version = 13000;
  return cudaSuccess;
}

cudaError_t cudaRuntimeGetVersion(int* version) { return cudaDriverGetVersion(version); }

cudaError_t cudaFuncSetAttribute(const void* function, cudaFuncAttribute attribute, int value) {
  if (const cudaError_t error = enter("cudaFuncSetAttribute", nullptr, value)) return error;
  if (attribute != cudaFuncAttributeMaxDynamicSharedMemorySize) return cudaSuccess;
  if (value < 0 || value > settings().limits.shared_bytes_per_block) {
    return result(cudaErrorInvalidValue);
  }
  Runtime& runtime = Runtime::instance();
  const std::lock_guard lock(runtime.mutex);
  runtime.shared_limits[function] = value;
  return cudaSuccess;
}

cudaError_t cudaOccupancyMaxActiveBlocksPerMultiprocessor(int* blocks,
                                                          const void* function,
                                                          int threads,
                                                          size_t shared_bytes) {
  const auto bytes = static_cast<int64_t>(shared_bytes);
  if (const cudaError_t error =
          enter("cudaOccupancyMaxActiveBlocksPerMultiprocessor", nullptr, bytes)) {
    return error;
  }
  if (threads <= 0 || threads > 1024) return result(cudaErrorInvalidValue);
  const bool is_allowed = shared_bytes <= trireme::emulation::shared_limit_of(function);
  *blocks = is_allowed ? trireme::emulation::resident_blocks(threads, bytes) : 0;
  return cudaSuccess;
}

// tidy: table
const char* cudaGetErrorName(cudaError_t error) {
#define NAME(code) \
  case code:       \
    return #code
  switch (error) {
    NAME(cudaSuccess);
    NAME(cudaErrorInvalidValue);
    NAME(cudaErrorMemoryAllocation);
    NAME(cudaErrorInvalidConfiguration);
    NAME(cudaErrorInsufficientDriver);
    NAME(cudaErrorNoDevice);
    NAME(cudaErrorInvalidDevice);
    NAME(cudaErrorInvalidResourceHandle);
    NAME(cudaErrorNotReady);
    NAME(cudaErrorIllegalAddress);
    NAME(cudaErrorPeerAccessAlreadyEnabled);
    NAME(cudaErrorLaunchFailure);
    NAME(cudaErrorCooperativeLaunchTooLarge);
    NAME(cudaErrorNotSupported);
    NAME(cudaErrorStreamCaptureUnsupported);
    NAME(cudaErrorStreamCaptureInvalidated);
    NAME(cudaErrorStreamCaptureUnmatched);
    NAME(cudaErrorStreamCaptureUnjoined);
    NAME(cudaErrorStreamCaptureIsolation);
    NAME(cudaErrorStreamCaptureImplicit);
    NAME(cudaErrorUnknown);
  }
#undef NAME
  return "cudaErrorUnknown";
}

const char* cudaGetErrorString(cudaError_t error) { return cudaGetErrorName(error); }
