#include "kernels/cuda/weight_stream.h"

#include <algorithm>

namespace trireme::cuda {

namespace {

Status failed(cudaError_t error, const char* what) {
  if (error == cudaSuccess) return ok_status();
  return unavailable("TRI-CUDA-001", "{} failed: {}", what, cudaGetErrorString(error));
}

}  // namespace

StatusOr<std::unique_ptr<WeightStream>> WeightStream::make(cudaStream_t queue) {
  std::unique_ptr<WeightStream> stream(new WeightStream(queue));
  RETURN_IF_ERROR(failed(stream->open(), "allocating the staging area of weights"));
  return stream;
}

cudaError_t WeightStream::open() {
  void* memory = nullptr;
  const size_t bytes = 2 * kHalfElements * sizeof(uint16_t);
  cudaError_t error = cudaHostAlloc(&memory, bytes, cudaHostAllocDefault);
  if (error != cudaSuccess) return error;
  pinned_ = Handle<void*, cudaFreeHost>(memory);
  for (auto& copied : copied_) {
    cudaEvent_t event = nullptr;
    error = cudaEventCreateWithFlags(&event, cudaEventDisableTiming);
    if (error != cudaSuccess) return error;
    copied = Handle<cudaEvent_t, cudaEventDestroy>(event);
  }
  return cudaSuccess;
}

Status WeightStream::write(uint16_t* device, int64_t elements, const Fill& fill) {
  return failed(copy(device, elements, fill), "copying a weight to the device");
}

cudaError_t WeightStream::copy(uint16_t* device, int64_t elements, const Fill& fill) {
  int half = 0;
  for (int64_t first = 0; first < elements; first += kHalfElements, half = 1 - half) {
    const int64_t count = std::min(kHalfElements, elements - first);
    uint16_t* staged = static_cast<uint16_t*>(pinned_.get()) + half * kHalfElements;
    cudaError_t error = cudaEventSynchronize(copied_[half].get());
    if (error != cudaSuccess) return error;
    fill(first, count, staged);
    error = cudaMemcpyAsync(device + first,
                            staged,
                            static_cast<size_t>(count) * sizeof(uint16_t),
                            cudaMemcpyHostToDevice,
                            stream_);
    if (error == cudaSuccess) error = cudaEventRecord(copied_[half].get(), stream_);
    if (error != cudaSuccess) return error;
  }
  return cudaStreamSynchronize(stream_);
}

}  // namespace trireme::cuda
