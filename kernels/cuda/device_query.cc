#include <cuda_runtime.h>

#include "kernels/cuda_backend.h"

namespace trireme {

namespace {

Status no_devices(const std::string& why) {
  return invalid("TRI-CUDA-002",
                 "no GPU can be used: {}; `trireme doctor` reports what is missing, --backend "
                 "cpu needs none",
                 why);
}

StatusOr<CudaDevice> look_at(int index, int num_devices) {
  cudaDeviceProp properties;
  cudaError_t error = cudaGetDeviceProperties(&properties, index);
  CudaDevice device;
  for (int peer = 0; peer < num_devices && error == cudaSuccess; ++peer) {
    int reaches = 0;
    if (peer != index) error = cudaDeviceCanAccessPeer(&reaches, index, peer);
    if (reaches != 0) device.peers.push_back(peer);
  }
  if (error != cudaSuccess) {
    return no_devices(format_text("device {}: {}", index, cudaGetErrorString(error)));
  }
  device.name = properties.name;
  device.major = properties.major;
  device.minor = properties.minor;
  device.memory_bytes = static_cast<int64_t>(properties.totalGlobalMem);
  return device;
}

}  // namespace

bool is_built_with_cuda() { return true; }

StatusOr<CudaDeviceQuery> query_cuda_devices() {
  CudaDeviceQuery query;
  int count = 0;
  cudaDriverGetVersion(&query.driver);  // 0: no driver
  cudaRuntimeGetVersion(&query.runtime);
  const cudaError_t error = cudaGetDeviceCount(&count);
  if (error != cudaSuccess) return no_devices(cudaGetErrorString(error));
  for (int index = 0; index < count; ++index) {
    ASSIGN_OR_RETURN(CudaDevice device, look_at(index, count));
    query.devices.push_back(std::move(device));
  }
  return query;
}

}  // namespace trireme
