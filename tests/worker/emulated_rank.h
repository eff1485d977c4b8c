// A rank of a test with an emulated device of its own: memory and a queue.
#pragma once

#include <cuda_runtime.h>
#include <gtest/gtest.h>

#include <cstring>
#include <memory>
#include <vector>

#include "base/clock.h"
#include "kernels/buffer.h"
#include "kernels/cuda/cuda_queue.h"

namespace trireme {

inline Buffer device_buffer(int64_t bytes) {
  void* data = nullptr;
  EXPECT_EQ(cudaMalloc(&data, static_cast<size_t>(bytes)), cudaSuccess);
  EXPECT_EQ(cudaMemset(data, 0, static_cast<size_t>(bytes)), cudaSuccess);
  return Buffer(
      static_cast<std::byte*>(data), bytes, [](std::byte* memory, int64_t) { cudaFree(memory); });
}

inline Buffer shared_buffer(int64_t bytes) {
  void* data = nullptr;
  EXPECT_EQ(cudaHostAlloc(&data, static_cast<size_t>(bytes), cudaHostAllocPortable), cudaSuccess);
  std::memset(data, 0, static_cast<size_t>(bytes));
  return Buffer(static_cast<std::byte*>(data), bytes, [](std::byte* memory, int64_t) {
    cudaFreeHost(memory);
  });
}

inline std::unique_ptr<cuda::CudaQueue> device_queue(int32_t num_blocks = 4) {
  cudaStream_t stream = nullptr;
  cudaEvent_t event = nullptr;
  EXPECT_EQ(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), cudaSuccess);
  EXPECT_EQ(cudaEventCreateWithFlags(&event, cudaEventDisableTiming), cudaSuccess);
  return std::make_unique<cuda::CudaQueue>(stream, event, num_blocks);
}

template <class T>
void upload(const Buffer& to, const std::vector<T>& values) {
  const size_t bytes = values.size() * sizeof(T);
  ASSERT_LE(static_cast<int64_t>(bytes), to.bytes());
  EXPECT_EQ(cudaMemcpy(to.data(), values.data(), bytes, cudaMemcpyHostToDevice), cudaSuccess);
}

template <class T>
std::vector<T> download(const Buffer& from, size_t count) {
  std::vector<T> values(count);
  EXPECT_EQ(cudaMemcpy(values.data(), from.data(), count * sizeof(T), cudaMemcpyDeviceToHost),
            cudaSuccess);
  return values;
}

}  // namespace trireme
