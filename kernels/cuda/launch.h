// Kernel launches; every op launches through launch(). A failed launch stores its error and name in
// the queue, where wait() finds it; later launches on that queue do nothing.
#pragma once

#include <cuda_runtime.h>

#include <cstdint>
#include <utility>

#include "kernels/cuda/cuda_queue.h"

namespace trireme::cuda {

// Grids come from the queue's budget of SMs or from shapes, never from the device's SM count.
struct LaunchConfig {
  dim3 grid = {1, 1, 1};
  dim3 block = {1, 1, 1};
  int64_t shared_bytes = 0;
  int32_t cluster = 1;  // blocks of a cluster along x
  // Programmatic launch: may start before its predecessor has ended. No op sets it and no kernel
  // calls dependency_release(): the gain is not measured.
  bool overlaps = false;
  int32_t priority = 0;  // lower runs first; 0: that of the stream
};

// Launches `kernel` on the queue's stream. `name` is a literal, used in errors. An empty grid
// launches nothing.
template <class... Parameters, class... Arguments>
void launch(CudaQueue& queue,
            const char* name,
            void (*kernel)(Parameters...),
            const LaunchConfig& config,
            Arguments&&... arguments) {
  if (!queue.is_usable() || config.grid.x == 0 || config.grid.y == 0 || config.grid.z == 0) return;
  cudaLaunchAttribute attributes[3];
  unsigned count = 0;
  if (config.cluster > 1) {
    attributes[count].id = cudaLaunchAttributeClusterDimension;
    attributes[count++].val.clusterDim = {static_cast<unsigned>(config.cluster), 1, 1};
  }
  if (config.overlaps) {
    attributes[count].id = cudaLaunchAttributeProgrammaticStreamSerialization;
    attributes[count++].val.programmaticStreamSerializationAllowed = 1;
  }
  if (config.priority != 0) {
    attributes[count].id = cudaLaunchAttributePriority;
    attributes[count++].val.priority = config.priority;
  }
  cudaLaunchConfig_t launch_config = {};
  launch_config.gridDim = config.grid;
  launch_config.blockDim = config.block;
  launch_config.dynamicSmemBytes = static_cast<size_t>(config.shared_bytes);
  launch_config.stream = queue.stream();
  launch_config.attrs = attributes;
  launch_config.numAttrs = count;
  const cudaError_t error =
      cudaLaunchKernelEx(&launch_config, kernel, std::forward<Arguments>(arguments)...);
  queue.check(error, name);
}

// Lets `kernel` use up to `bytes` of shared memory and loads its module. Called once, when the
// backend is made; kernels of more than 48 KiB need it.
template <class... Parameters>
cudaError_t allow_shared_memory(void (*kernel)(Parameters...), int64_t bytes) {
  return cudaFuncSetAttribute(reinterpret_cast<const void*>(kernel),
                              cudaFuncAttributeMaxDynamicSharedMemorySize,
                              static_cast<int>(bytes));
}

// `blocks`: how many blocks of `kernel` an SM of this device holds at once, by registers, threads
// and shared memory. Called once when the backend is made, after allow_shared_memory(). Fewer than
// one is an error.
template <class... Parameters>
cudaError_t ask_resident_blocks(void (*kernel)(Parameters...),
                                int32_t threads,
                                int64_t shared_bytes,
                                int32_t& blocks) {
  int count = 0;
  const cudaError_t error = cudaOccupancyMaxActiveBlocksPerMultiprocessor(
      &count, reinterpret_cast<const void*>(kernel), threads, static_cast<size_t>(shared_bytes));
  blocks = count;
  return error == cudaSuccess && count < 1 ? cudaErrorInvalidConfiguration : error;
}

}  // namespace trireme::cuda
