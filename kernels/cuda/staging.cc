#include "kernels/cuda/staging.h"

#include <algorithm>
#include <cstring>

namespace trireme::cuda {

Staging::~Staging() {
  for (cudaEvent_t event : copied_) {
    if (event == nullptr) continue;
    cudaEventSynchronize(event);
    cudaEventDestroy(event);
  }
  if (memory_ != nullptr) cudaFreeHost(memory_);
}

cudaError_t Staging::open() {
  void* memory = nullptr;
  cudaError_t error = cudaHostAlloc(&memory, kPieceBytes * kNumPieces, cudaHostAllocDefault);
  memory_ = static_cast<std::byte*>(memory);
  for (cudaEvent_t& event : copied_) {
    if (error == cudaSuccess) error = cudaEventCreateWithFlags(&event, cudaEventDisableTiming);
  }
  return error;
}

void Staging::copy(CudaQueue& queue, std::byte* device, std::span<const std::byte> host) {
  while (!host.empty() && queue.is_usable()) {
    const size_t piece = next_++ % kNumPieces;
    const size_t count = std::min<size_t>(host.size(), kPieceBytes);
    std::byte* const pinned = memory_ + piece * kPieceBytes;
    queue.check(cudaEventSynchronize(copied_[piece]), "upload");
    std::memcpy(pinned, host.data(), count);
    queue.check(cudaMemcpyAsync(device, pinned, count, cudaMemcpyHostToDevice, queue.stream()),
                "upload");
    queue.check(cudaEventRecord(copied_[piece], queue.stream()), "upload");
    device += count;
    host = host.subspan(count);
  }
}

}  // namespace trireme::cuda
