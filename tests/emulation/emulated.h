// Helpers of the tests of the emulated device: owned memory, a stream, a launch.
#pragma once

#include <cuda_runtime.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <initializer_list>
#include <utility>
#include <vector>

#include "kernels/cuda/arch.h"
#include "kernels/emulation/control.h"

namespace trireme::emulation {

// Changes the settings for a test and restores them.
class ScopedSettings {
 public:
  ScopedSettings() : before_(settings()) {}
  explicit ScopedSettings(Order order, uint64_t seed = 1) : before_(settings()) {
    Settings now = before_;
    now.order = order;
    now.seed = seed;
    set_settings(now);
  }
  ~ScopedSettings() { set_settings(before_); }
  ScopedSettings(const ScopedSettings&) = delete;
  ScopedSettings& operator=(const ScopedSettings&) = delete;

 private:
  Settings before_;
};

// An array of the device.
template <class T>
class DeviceArray {
 public:
  explicit DeviceArray(size_t count) : count_(count) {
    EXPECT_EQ(cudaMalloc(&data_, count * sizeof(T)), cudaSuccess);
  }
  explicit DeviceArray(const std::vector<T>& values) : DeviceArray(values.size()) {
    EXPECT_EQ(cudaMemcpy(data_, values.data(), count_ * sizeof(T), cudaMemcpyHostToDevice),
              cudaSuccess);
  }
  ~DeviceArray() { cudaFree(data_); }
  DeviceArray(const DeviceArray&) = delete;
  DeviceArray& operator=(const DeviceArray&) = delete;

  T* data() const { return data_; }
  std::vector<T> read() const {
    std::vector<T> values(count_);
    EXPECT_EQ(cudaMemcpy(values.data(), data_, count_ * sizeof(T), cudaMemcpyDeviceToHost),
              cudaSuccess);
    return values;
  }

 private:
  T* data_ = nullptr;
  size_t count_;
};

class Stream {
 public:
  Stream() { EXPECT_EQ(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking), cudaSuccess); }
  ~Stream() { cudaStreamDestroy(stream_); }
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;

  cudaStream_t get() const { return stream_; }
  void wait() const { EXPECT_EQ(cudaStreamSynchronize(stream_), cudaSuccess); }

 private:
  cudaStream_t stream_ = nullptr;
};

struct Shape {
  dim3 grid = {1};
  dim3 block = {32};
  size_t shared_bytes = 0;
  bool overlaps = false;
  bool is_cooperative = false;
};

template <class... Parameters, class... Arguments>
cudaError_t launch(cudaStream_t stream,
                   const Shape& shape,
                   void (*kernel)(Parameters...),
                   Arguments&&... arguments) {
  cudaLaunchAttribute attributes[2] = {};
  attributes[0].id = cudaLaunchAttributeProgrammaticStreamSerialization;
  attributes[0].val.programmaticStreamSerializationAllowed = shape.overlaps;
  attributes[1].id = cudaLaunchAttributeCooperative;
  attributes[1].val.cooperative = shape.is_cooperative;
  cudaLaunchConfig_t config = {};
  config.gridDim = shape.grid;
  config.blockDim = shape.block;
  config.dynamicSmemBytes = shape.shared_bytes;
  config.stream = stream;
  config.attrs = attributes;
  config.numAttrs = 2;
  return cudaLaunchKernelEx(&config, kernel, std::forward<Arguments>(arguments)...);
}

// Launches and waits, on its own stream.
template <class... Parameters, class... Arguments>
void run(const Shape& shape, void (*kernel)(Parameters...), Arguments&&... arguments) {
  const Stream stream;
  EXPECT_EQ(launch(stream.get(), shape, kernel, std::forward<Arguments>(arguments)...),
            cudaSuccess);
  stream.wait();
}

}  // namespace trireme::emulation
