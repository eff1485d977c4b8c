// Reserved device addresses and the memory mapped to them: the driver's virtual memory management.
// Touching an address without memory ends the process. Also the lookup of driver functions by name.
#include <cuda.h>
#include <sys/mman.h>

#include <algorithm>
#include <cstring>
#include <string_view>

#include "kernels/emulation/runtime.h"

using trireme::emulation::enter;
using trireme::emulation::MemoryKind;
using trireme::emulation::Physical;
using trireme::emulation::Runtime;
using trireme::emulation::settings;

namespace {

constexpr size_t kGranularity = 2 << 20;

bool is_whole(size_t bytes) { return bytes > 0 && bytes % kGranularity == 0; }

std::byte* pointer_of(CUdeviceptr address) {
  // NOLINTNEXTLINE(performance-no-int-to-ptr): an address is a number in this interface
  return reinterpret_cast<std::byte*>(address);
}

bool is_refused(const char* name, size_t bytes = 0) {
  return enter(name, nullptr, static_cast<int64_t>(bytes)) != cudaSuccess;
}

// Returns memory to the device once neither a handle nor a mapping refers to it.
void drop_if_unused(Runtime& runtime, CUmemGenericAllocationHandle handle) {
  const Physical& physical = runtime.physical[handle];
  if (physical.mapped != nullptr || !physical.is_released) return;
  runtime.allocated[static_cast<size_t>(physical.device)] -= static_cast<int64_t>(physical.bytes);
  runtime.physical.erase(handle);
}

// The memory mapped at exactly this range, or end().
auto find_mapped(Runtime& runtime, const std::byte* at, size_t bytes) {
  return std::find_if(runtime.physical.begin(), runtime.physical.end(), [&](const auto& entry) {
    return entry.second.mapped == at && entry.second.bytes == bytes;
  });
}

bool is_reserved(const Runtime& runtime, const std::byte* at, size_t bytes) {
  auto after = runtime.reserved.upper_bound(at);
  if (after == runtime.reserved.begin()) return false;
  --after;
  return static_cast<size_t>(at - after->first) + bytes <= after->second;
}

}  // namespace

CUresult cuMemGetAllocationGranularity(size_t* granularity,
                                       const CUmemAllocationProp*,
                                       CUmemAllocationGranularity_flags) {
  *granularity = kGranularity;
  return CUDA_SUCCESS;
}

CUresult cuMemAddressReserve(
    CUdeviceptr* address, size_t bytes, size_t, CUdeviceptr, unsigned long long) {
  if (is_refused("cuMemAddressReserve", bytes)) return CUDA_ERROR_OUT_OF_MEMORY;
  if (!is_whole(bytes)) return CUDA_ERROR_INVALID_VALUE;
  void* const at =
      mmap(nullptr, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (at == MAP_FAILED) return CUDA_ERROR_OUT_OF_MEMORY;
  Runtime& runtime = Runtime::instance();
  const std::lock_guard lock(runtime.mutex);
  runtime.reserved[static_cast<std::byte*>(at)] = bytes;
  *address = reinterpret_cast<CUdeviceptr>(at);
  return CUDA_SUCCESS;
}

CUresult cuMemAddressFree(CUdeviceptr address, size_t bytes) {
  if (is_refused("cuMemAddressFree")) return CUDA_ERROR_UNKNOWN;
  Runtime& runtime = Runtime::instance();
  const std::lock_guard lock(runtime.mutex);
  const auto found = runtime.reserved.find(pointer_of(address));
  if (found == runtime.reserved.end() || found->second != bytes) return CUDA_ERROR_INVALID_VALUE;
  runtime.reserved.erase(found);
  munmap(pointer_of(address), bytes);
  return CUDA_SUCCESS;
}

CUresult cuMemCreate(CUmemGenericAllocationHandle* handle,
                     size_t bytes,
                     const CUmemAllocationProp* properties,
                     unsigned long long) {
  if (is_refused("cuMemCreate", bytes)) return CUDA_ERROR_OUT_OF_MEMORY;
  if (!is_whole(bytes)) return CUDA_ERROR_INVALID_VALUE;
  Runtime& runtime = Runtime::instance();
  const std::lock_guard lock(runtime.mutex);
  int64_t& allocated = runtime.allocated[static_cast<size_t>(properties->location.id)];
  if (static_cast<int64_t>(bytes) > settings().device_bytes - allocated) {
    return CUDA_ERROR_OUT_OF_MEMORY;
  }
  allocated += static_cast<int64_t>(bytes);
  *handle = ++runtime.last_physical;
  runtime.physical[*handle] = {properties->location.id, bytes};
  return CUDA_SUCCESS;
}

CUresult cuMemRelease(CUmemGenericAllocationHandle handle) {
  if (is_refused("cuMemRelease")) return CUDA_ERROR_UNKNOWN;
  Runtime& runtime = Runtime::instance();
  const std::lock_guard lock(runtime.mutex);
  const auto found = runtime.physical.find(handle);
  if (found == runtime.physical.end()) return CUDA_ERROR_INVALID_VALUE;
  found->second.is_released = true;
  drop_if_unused(runtime, handle);
  return CUDA_SUCCESS;
}

CUresult cuMemMap(CUdeviceptr address,
                  size_t bytes,
                  size_t offset,
                  CUmemGenericAllocationHandle handle,
                  unsigned long long) {
  if (is_refused("cuMemMap", bytes)) return CUDA_ERROR_UNKNOWN;
  Runtime& runtime = Runtime::instance();
  const std::lock_guard lock(runtime.mutex);
  const auto found = runtime.physical.find(handle);
  if (found == runtime.physical.end() || found->second.mapped != nullptr || offset != 0 ||
      found->second.bytes != bytes || !is_reserved(runtime, pointer_of(address), bytes)) {
    return CUDA_ERROR_INVALID_VALUE;
  }
  found->second.mapped = pointer_of(address);
  return CUDA_SUCCESS;
}

CUresult cuMemSetAccess(CUdeviceptr address, size_t bytes, const CUmemAccessDesc*, size_t) {
  if (is_refused("cuMemSetAccess", bytes)) return CUDA_ERROR_UNKNOWN;
  Runtime& runtime = Runtime::instance();
  const std::lock_guard lock(runtime.mutex);
  std::byte* const at = pointer_of(address);
  const auto found = find_mapped(runtime, at, bytes);
  if (found == runtime.physical.end()) return CUDA_ERROR_INVALID_VALUE;
  if (mprotect(at, bytes, PROT_READ | PROT_WRITE) != 0) return CUDA_ERROR_OUT_OF_MEMORY;
  std::memset(at, 0xff, std::min(bytes, trireme::emulation::kMaxPoisonedBytes));
  // Marked as registered, so that cudaFree() refuses it.
  runtime.allocations[at] = {MemoryKind::kDevice, found->second.device, bytes, true};
  return CUDA_SUCCESS;
}

CUresult cuMemUnmap(CUdeviceptr address, size_t bytes) {
  if (is_refused("cuMemUnmap")) return CUDA_ERROR_UNKNOWN;
  Runtime& runtime = Runtime::instance();
  std::unique_lock lock(runtime.mutex);
  std::byte* const at = pointer_of(address);
  const auto found = find_mapped(runtime, at, bytes);
  if (found == runtime.physical.end()) return CUDA_ERROR_INVALID_VALUE;
  const auto handle = found->first;
  while (!runtime.device(found->second.device).is_idle()) {
    runtime.begin_all();
    runtime.done.wait(lock);
  }
  runtime.allocations.erase(at);
  constexpr int kFlags = MAP_FIXED | MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
  if (mmap(at, bytes, PROT_NONE, kFlags, -1, 0) == MAP_FAILED) return CUDA_ERROR_UNKNOWN;
  runtime.physical[handle].mapped = nullptr;
  drop_if_unused(runtime, handle);
  return CUDA_SUCCESS;
}

cudaError_t cudaGetDriverEntryPointByVersion(const char* symbol,
                                             void** function,
                                             unsigned,
                                             unsigned long long,
                                             cudaDriverEntryPointQueryResult* found) {
  const struct {
    std::string_view name;
    void* function;
  } known[] = {
      {"cuStreamWriteValue32", reinterpret_cast<void*>(&cuStreamWriteValue32)},
      {"cuStreamWaitValue32", reinterpret_cast<void*>(&cuStreamWaitValue32)},
      {"cuMemGetAllocationGranularity", reinterpret_cast<void*>(&cuMemGetAllocationGranularity)},
      {"cuMemAddressReserve", reinterpret_cast<void*>(&cuMemAddressReserve)},
      {"cuMemAddressFree", reinterpret_cast<void*>(&cuMemAddressFree)},
      {"cuMemCreate", reinterpret_cast<void*>(&cuMemCreate)},
      {"cuMemRelease", reinterpret_cast<void*>(&cuMemRelease)},
      {"cuMemMap", reinterpret_cast<void*>(&cuMemMap)},
      {"cuMemUnmap", reinterpret_cast<void*>(&cuMemUnmap)},
      {"cuMemSetAccess", reinterpret_cast<void*>(&cuMemSetAccess)},
  };
  *function = nullptr;
  for (const auto& entry : known) {
    if (entry.name == symbol) *function = entry.function;
  }
  if (found != nullptr) {
    *found =
        *function != nullptr ? cudaDriverEntryPointSuccess : cudaDriverEntryPointSymbolNotFound;
  }
  return cudaSuccess;
}
