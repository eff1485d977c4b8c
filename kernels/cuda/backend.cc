#include "kernels/cuda/backend.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <thread>
#include <utility>

#include "base/check.h"
#include "base/text.h"
#include "kernels/cuda/page_image.h"

namespace trireme {

int num_cuda_devices() {
  int count = 0;
  return cudaGetDeviceCount(&count) == cudaSuccess ? count : 0;
}

StatusOr<std::unique_ptr<Backend>> make_cuda_backend(const CudaBackendOptions& options) {
  return cuda::CudaBackend::make(options);
}

namespace cuda {
namespace {

// The device's architecture, whichever code it runs (sm_80's on all of sm_8x, sm_90a's, PTX on
// later devices): tensor cores of two architectures may sum in different orders.
std::string architecture_of(const cudaDeviceProp& properties) {
  const bool is_hopper = properties.major == 9 && properties.minor == 0;
  return format_text("sm_{}{}{}", properties.major, properties.minor, is_hopper ? "a" : "");
}

std::string place_of(const cudaDeviceProp& properties) {
  char text[40];
  std::snprintf(text,
                sizeof text,
                "%04x:%02x:%02x",
                properties.pciDomainID,
                properties.pciBusID,
                properties.pciDeviceID);
  return text;
}

Status no_device(const CudaBackendOptions& options, const std::string& why) {
  return invalid("TRI-CUDA-002",
                 "device {} cannot be used: {}; `trireme doctor` lists the devices, --backend cpu "
                 "needs none",
                 options.device,
                 why);
}

}  // namespace

StatusOr<std::unique_ptr<Backend>> CudaBackend::make(const CudaBackendOptions& options) {
  if (options.dtype != DType::kBFloat16 && options.dtype != DType::kFloat16) {
    return invalid("TRI-CUDA-003",
                   "--dtype {} is not built for CUDA; use bfloat16 or float16",
                   name_of(options.dtype));
  }
  int count = 0;
  cudaError_t error = cudaGetDeviceCount(&count);
  if (error != cudaSuccess) return no_device(options, cudaGetErrorString(error));
  if (options.device < 0 || options.device >= count) {
    return no_device(options, format_text("this process sees {} devices, from 0", count));
  }
  cudaDeviceProp properties;
  error = cudaSetDevice(options.device);
  if (error == cudaSuccess) error = cudaGetDeviceProperties(&properties, options.device);
  if (error != cudaSuccess) return no_device(options, cudaGetErrorString(error));
  if (properties.major < 8) {
    return no_device(options,
                     format_text("{} has compute capability {}.{}, 8.0 is needed",
                                 properties.name,
                                 properties.major,
                                 properties.minor));
  }
  const auto shared_limit = static_cast<int64_t>(properties.sharedMemPerBlockOptin);
  if (shared_limit < kMinSharedBytes) {
    return no_device(options,
                     format_text("{} gives a block {} bytes of shared memory, {} are needed",
                                 properties.name,
                                 shared_limit,
                                 kMinSharedBytes));
  }
  std::unique_ptr<CudaBackend> backend(new CudaBackend(options, properties));
  backend->lane_ = backend->open_queue(true);
  if (!backend->lane_->is_usable()) return backend->lane_->failure();
  error = backend->prepare_kernels(shared_limit);
  if (error == cudaSuccess) error = backend->staging_.open();
  if (error != cudaSuccess) return no_device(options, cudaGetErrorString(error));
  return backend;
}

CudaBackend::CudaBackend(const CudaBackendOptions& options, const cudaDeviceProp& properties)
    : options_(options),
      device_name_(properties.name),
      architecture_(architecture_of(properties)),
      place_(place_of(properties)),
      num_blocks_(properties.multiProcessorCount) {}

cudaError_t CudaBackend::prepare_kernels(int64_t shared_limit) {
  cudaError_t error = prepare_linear(is_bf16(), tile_residency_);
  if (error != cudaSuccess) return error;
  error = prepare_attention(is_bf16(), options_.invariant, shared_limit, attention_fits_);
  return error != cudaSuccess ? error : prepare_sampling();
}

CudaBackend::~CudaBackend() = default;

BackendInfo CudaBackend::info() const { return {"cuda", architecture_, device_name_, place_}; }

ActivationTypes CudaBackend::types() const {
  return {.residual = options_.dtype,
          .input = options_.dtype,
          .wide = options_.dtype,
          .row_alignment = kRowAlignment};
}

KvLayout CudaBackend::kv_layout(int32_t head_dim) const {
  CHECK(head_dim > 0 && head_dim <= kMaxHeadDim);
  KvLayout layout;
  layout.version = kKvLayoutVersion;
  layout.dtype = options_.dtype;
  layout.page_tokens = kPageTokens;
  layout.head_dim = stored_dim(head_dim);
  layout.unit = swizzle_unit(layout.head_dim);
  return layout;
}

int64_t CudaBackend::workspace_bytes(const OpLimits& limits) const {
  return std::max({linear_workspace_bytes(limits, options_.invariant),
                   attention_workspace_bytes(limits.rows, limits.k),
                   sampling_workspace_bytes(limits.rows, limits.n)});
}

std::unique_ptr<Queue> CudaBackend::make_queue() { return open_queue(true); }

Queue& CudaBackend::side() {
  if (side_ == nullptr) side_ = open_queue(false);
  return *side_;
}

std::unique_ptr<CudaQueue> CudaBackend::open_queue(bool has_counters) {
  cudaStream_t stream = nullptr;
  cudaEvent_t event = nullptr;
  cudaError_t error = cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking);
  if (error == cudaSuccess) error = cudaEventCreateWithFlags(&event, cudaEventDisableTiming);
  Buffer words;
  if (error == cudaSuccess && has_counters) {
    const int64_t bytes = kArrivalCounters * int64_t{sizeof(uint32_t)};
    auto counters = allocate_device(stream, bytes, "a queue's counters");
    if (!counters.ok()) error = cudaErrorMemoryAllocation;
    if (counters.ok()) words = std::move(counters).value();
  }
  auto queue = std::make_unique<CudaQueue>(stream, event, num_blocks_, std::move(words));
  queue->check(error, "the creation of a queue");
  return queue;
}

Status CudaBackend::wait(Queue& queue, TimeUs deadline_us) {
  constexpr TimeUs kSpinUs = 20;  // most waits are for the last microseconds of a step
  constexpr auto kPause = std::chrono::microseconds(50);
  CudaQueue& stream = cuda_queue(queue);
  stream.check(cudaEventRecord(stream.event(), stream.stream()), "wait");
  SteadyClock clock;
  const TimeUs begin_us = clock.now_us();
  while (stream.is_usable()) {
    const cudaError_t state = cudaEventQuery(stream.event());
    if (state == cudaSuccess) return ok_status();
    if (state != cudaErrorNotReady) {
      stream.check(state, "work enqueued before a wait");
      break;
    }
    const TimeUs now_us = clock.now_us();
    if (deadline_us > 0 && now_us >= deadline_us) {
      return timed_out(
          "TRI-CUDA-004",
          "the device did not finish within {} ms; a kernel hangs, or other work holds the device",
          (now_us - begin_us) / 1000);
    }
    if (now_us - begin_us >= kSpinUs) std::this_thread::sleep_for(kPause);
  }
  return stream.failure();
}

Status CudaBackend::status(Queue& queue) {
  CudaQueue& stream = cuda_queue(queue);
  const cudaError_t state = stream.is_usable() ? cudaStreamQuery(stream.stream()) : cudaSuccess;
  if (state != cudaErrorNotReady) stream.check(state, "an earlier step");
  return stream.failure();
}

void CudaBackend::order(Queue& later, Queue& earlier) {
  CudaQueue& first = cuda_queue(earlier);
  CudaQueue& second = cuda_queue(later);
  first.check(cudaEventRecord(first.event(), first.stream()), "order");
  second.check(cudaStreamWaitEvent(second.stream(), first.event(), 0), "order");
}

}  // namespace cuda
}  // namespace trireme
