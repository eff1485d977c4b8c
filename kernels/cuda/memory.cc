#include <algorithm>
#include <cstring>

#include "base/cuda_memory.h"
#include "base/text.h"
#include "kernels/cuda/backend.h"
#include "kernels/cuda/reserved_memory.h"

namespace trireme::cuda {
namespace {

DeviceMemory memory_of_device() {
  size_t free = 0;
  size_t total = 0;
  if (cudaMemGetInfo(&free, &total) != cudaSuccess) return {};
  return {.total = static_cast<int64_t>(total), .free = static_cast<int64_t>(free)};
}

void release_device(std::byte* data, int64_t) { cudaFree(data); }
void release_shared(std::byte* data, int64_t) { cudaFreeHost(data); }

Status no_memory(int64_t bytes,
                 const std::string& what,
                 const char* where,
                 const std::string& why) {
  return exhausted("TRI-MEM-001",
                   "{} needs {} of {}, and the allocation failed ({}; free on the device: {}); use "
                   "more ranks, a smaller --max-num-batched-tokens, or less --kv-memory",
                   what,
                   format_bytes(static_cast<double>(bytes)),
                   where,
                   why,
                   format_bytes(static_cast<double>(memory_of_device().free)));
}

}  // namespace

Status no_device_memory(int64_t bytes, const std::string& what, const std::string& why) {
  return no_memory(bytes, what, "device memory", why);
}

StatusOr<Buffer> allocate_device(cudaStream_t stream, int64_t bytes, const std::string& what) {
  void* data = nullptr;
  cudaError_t error = cudaMalloc(&data, static_cast<size_t>(std::max<int64_t>(bytes, 1)));
  if (error != cudaSuccess) {
    cudaGetLastError();  // a failed allocation leaves the device usable
    return no_device_memory(bytes, what, cudaGetErrorString(error));
  }
  Buffer buffer(static_cast<std::byte*>(data), bytes, release_device);
  error = cudaMemsetAsync(data, 0, static_cast<size_t>(bytes), stream);
  if (error == cudaSuccess) error = cudaStreamSynchronize(stream);
  if (error != cudaSuccess) return no_device_memory(bytes, what, cudaGetErrorString(error));
  return buffer;
}

StatusOr<Buffer> CudaBackend::allocate(int64_t bytes, const std::string& what) {
  const CudaQueue& clears = cuda_queue(side());
  if (!clears.is_usable()) return clears.failure();
  StatusOr<Buffer> buffer = allocate_device(clears.stream(), bytes, what);
  if (buffer.ok()) taken_bytes_ += std::max<int64_t>(bytes, 1);
  return buffer;
}

StatusOr<Buffer> CudaBackend::allocate_shared(int64_t bytes, const std::string& what) {
  void* data = nullptr;
  const cudaError_t error = cudaHostAlloc(&data,
                                          static_cast<size_t>(std::max<int64_t>(bytes, 1)),
                                          cudaHostAllocMapped | cudaHostAllocPortable);
  if (error != cudaSuccess) {
    cudaGetLastError();
    return no_memory(bytes, what, "pinned host memory", cudaGetErrorString(error));
  }
  std::memset(data, 0, static_cast<size_t>(bytes));
  return Buffer(static_cast<std::byte*>(data), bytes, release_shared);
}

DeviceMemory CudaBackend::device_memory() const {
  DeviceMemory memory = memory_of_device();
  memory.taken = taken_bytes_;
  return memory;
}

int64_t CudaBackend::cache_bytes() const {
  return std::max<int64_t>(0, memory_of_device().free - kCudaReserveBytes);
}

StatusOr<std::unique_ptr<ReservedMemory>> CudaBackend::reserve(int64_t bytes,
                                                               const std::string& what) {
  return CudaReservedMemory::make(options_.device, cuda_queue(side()).stream(), bytes, what);
}

void CudaBackend::upload(Queue& queue, std::byte* device, std::span<const std::byte> host) {
  staging_.copy(cuda_queue(queue), device, host);
}

void CudaBackend::upload_shared(Queue& queue,
                                std::byte* device,
                                std::span<const std::byte> shared) {
  CudaQueue& stream = cuda_queue(queue);
  if (shared.empty() || !stream.is_usable()) return;
  stream.check(cudaMemcpyAsync(
                   device, shared.data(), shared.size(), cudaMemcpyHostToDevice, stream.stream()),
               "upload");
}

void CudaBackend::download(Queue& queue, std::span<std::byte> host, const std::byte* device) {
  CudaQueue& stream = cuda_queue(queue);
  if (host.empty() || !stream.is_usable()) return;
  stream.check(
      cudaMemcpyAsync(host.data(), device, host.size(), cudaMemcpyDeviceToHost, stream.stream()),
      "download");
}

}  // namespace trireme::cuda
