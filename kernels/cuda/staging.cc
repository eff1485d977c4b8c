#include "kernels/cuda/staging.h"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <thread>

#include "base/clock.h"

namespace trireme::cuda {
namespace {

cudaError_t wait_for(cudaEvent_t event) {
  constexpr TimeUs kMaxUs = 60'000'000;
  constexpr auto kPause = std::chrono::microseconds(20);
  SteadyClock clock;
  const TimeUs end_us = clock.now_us() + kMaxUs;
  cudaError_t state = cudaEventQuery(event);
  while (state == cudaErrorNotReady && clock.now_us() < end_us) {
    std::this_thread::sleep_for(kPause);
    state = cudaEventQuery(event);
  }
  return state;  // not ready even now: the queue has failed
}

}  // namespace

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
    queue.check(wait_for(copied_[piece]), "upload");
    if (!queue.is_usable()) return;  // a copy may still read the piece
    std::memcpy(pinned, host.data(), count);
    queue.check(cudaMemcpyAsync(device, pinned, count, cudaMemcpyHostToDevice, queue.stream()),
                "upload");
    queue.check(cudaEventRecord(copied_[piece], queue.stream()), "upload");
    device += count;
    host = host.subspan(count);
  }
}

}  // namespace trireme::cuda
