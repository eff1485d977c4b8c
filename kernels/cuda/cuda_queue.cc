#include "kernels/cuda/cuda_queue.h"

namespace trireme::cuda {

CudaQueue::~CudaQueue() {
  cudaStreamSynchronize(stream_);  // its work may use memory that is freed next
  cudaEventDestroy(event_);
  cudaStreamDestroy(stream_);
}

bool CudaQueue::has_work() const {
  cudaStreamCaptureStatus capture = cudaStreamCaptureStatusNone;
  if (!is_usable() || cudaStreamIsCapturing(stream_, &capture) != cudaSuccess) return false;
  return capture == cudaStreamCaptureStatusNone && cudaStreamQuery(stream_) == cudaErrorNotReady;
}

void CudaQueue::check(cudaError_t error, const char* operation) {
  if (error == cudaSuccess || !failure_.ok()) return;
  failure_ = unavailable(
      "TRI-CUDA-001",
      "the device failed in {}: {} ({}); the rank leaves its group, which starts again; if "
      "it happens again, check the device with nvidia-smi -q and in the kernel's log",
      operation,
      cudaGetErrorName(error),
      cudaGetErrorString(error));
}

}  // namespace trireme::cuda
