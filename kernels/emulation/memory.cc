// Memory of the emulated devices and pinned host memory, and copies between them. All of it is
// memory of this process. A copy reads its source when it runs, never when it is called.
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "kernels/emulation/runtime.h"

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#endif

using trireme::emulation::Allocation;
using trireme::emulation::current_device;
using trireme::emulation::enter;
using trireme::emulation::MemoryKind;
using trireme::emulation::refuse_beside_a_capture;
using trireme::emulation::refuse_in_capture;
using trireme::emulation::resolve;
using trireme::emulation::result;
using trireme::emulation::Runtime;
using trireme::emulation::settings;
using trireme::emulation::submit;
using trireme::emulation::Task;

namespace {

constexpr size_t kAlignment = 256;
constexpr size_t kGuardBytes = 256;
constexpr int kGuard = 0xa5;

// Under AddressSanitizer the guard is poisoned, so any access to it is reported.
void guard(const std::byte* data, size_t bytes) {
#ifdef __SANITIZE_ADDRESS__
  ASAN_POISON_MEMORY_REGION(data + bytes, kGuardBytes);
#else
  (void)data;
  (void)bytes;
#endif
}
void unguard(const std::byte* data, size_t bytes) {
#ifdef __SANITIZE_ADDRESS__
  ASAN_UNPOISON_MEMORY_REGION(data + bytes, kGuardBytes);
#else
  (void)data;
  (void)bytes;
#endif
}

std::byte* allocate(size_t bytes) {
  void* memory = nullptr;
  if (posix_memalign(&memory, kAlignment, bytes + kGuardBytes) != 0) return nullptr;
  auto* data = static_cast<std::byte*>(memory);
  std::memset(data, 0xff, std::min(bytes, trireme::emulation::kMaxPoisonedBytes));
  std::memset(data + bytes, kGuard, kGuardBytes);
  guard(data, bytes);
  return data;
}

void check_guard(const std::byte* data, size_t bytes) {
  unguard(data, bytes);
  for (size_t i = 0; i < kGuardBytes; ++i) {
    if (data[bytes + i] == std::byte{kGuard}) continue;
    std::fprintf(stderr,
                 "emulated CUDA: %zu bytes at %p: wrote %zu bytes past the end\n",
                 bytes,
                 static_cast<const void*>(data),
                 i);
    std::abort();
  }
}

// CUDA leaves freeing memory that another process has open undefined.
void check_closed(const void* data, const Allocation& allocation) {
  if (allocation.num_imports == 0) return;
  std::fprintf(stderr,
               "emulated CUDA: %zu bytes at %p: freed while %d have it open\n",
               allocation.bytes,
               data,
               allocation.num_imports);
  std::abort();
}

// The allocation that contains the address, or null.
const Allocation* find(Runtime& runtime, const void* pointer, size_t* offset) {
  const auto* at = static_cast<const std::byte*>(pointer);
  auto after = runtime.allocations.upper_bound(at);
  if (after == runtime.allocations.begin()) return nullptr;
  --after;
  *offset = static_cast<size_t>(at - after->first);
  return *offset < after->second.bytes ? &after->second : nullptr;
}

// Whether `bytes` at `pointer` are valid as the device end (`is_device`) or the host end of a copy.
bool fits(const void* pointer, size_t bytes, bool is_device) {
  Runtime& runtime = Runtime::instance();
  const std::lock_guard lock(runtime.mutex);
  size_t offset = 0;
  const Allocation* allocation = find(runtime, pointer, &offset);
  if (allocation == nullptr) return !is_device;
  if (!is_device && allocation->kind == MemoryKind::kDevice) return false;
  return offset + bytes <= allocation->bytes;
}

bool may_copy(const void* to, const void* from, size_t bytes, cudaMemcpyKind kind) {
  if (kind == cudaMemcpyDefault) return true;
  const bool to_device = kind == cudaMemcpyHostToDevice || kind == cudaMemcpyDeviceToDevice;
  const bool from_device = kind == cudaMemcpyDeviceToHost || kind == cudaMemcpyDeviceToDevice;
  return fits(to, bytes, to_device) && fits(from, bytes, from_device);
}

cudaError_t release(void* pointer, MemoryKind kind) {
  if (pointer == nullptr) return cudaSuccess;
  Runtime& runtime = Runtime::instance();
  std::unique_lock lock(runtime.mutex);
  if (const cudaError_t error = refuse_beside_a_capture(runtime)) return error;
  const auto found = runtime.allocations.find(static_cast<std::byte*>(pointer));
  if (found == runtime.allocations.end() || found->second.kind != kind ||
      found->second.is_registered) {
    return result(cudaErrorInvalidValue);
  }
  check_closed(pointer, found->second);
  const Allocation allocation = found->second;
  runtime.wait_for_device(lock, allocation.device, "a call that frees memory");
  runtime.allocations.erase(static_cast<std::byte*>(pointer));
  if (kind == MemoryKind::kDevice) {
    runtime.allocated[static_cast<size_t>(allocation.device)] -=
        static_cast<int64_t>(allocation.bytes);
  }
  check_guard(static_cast<std::byte*>(pointer), allocation.bytes);
  std::free(pointer);
  return cudaSuccess;
}

}  // namespace

cudaError_t cudaMalloc(void** pointer, size_t bytes) {
  if (const cudaError_t error = enter("cudaMalloc", nullptr, static_cast<int64_t>(bytes))) {
    return error;
  }
  *pointer = nullptr;
  if (bytes == 0) return cudaSuccess;
  Runtime& runtime = Runtime::instance();
  const std::lock_guard lock(runtime.mutex);
  if (const cudaError_t error = refuse_in_capture(runtime)) return error;
  int64_t& allocated = runtime.allocated[static_cast<size_t>(current_device())];
  if (static_cast<int64_t>(bytes) > settings().device_bytes - allocated) {
    return result(cudaErrorMemoryAllocation);
  }
  std::byte* data = allocate(bytes);
  if (data == nullptr) return result(cudaErrorMemoryAllocation);
  allocated += static_cast<int64_t>(bytes);
  runtime.allocations[data] = {MemoryKind::kDevice, current_device(), bytes};
  *pointer = data;
  return cudaSuccess;
}

cudaError_t cudaFree(void* pointer) {
  if (const cudaError_t error = enter("cudaFree")) return error;
  return release(pointer, MemoryKind::kDevice);
}

cudaError_t cudaHostAlloc(void** pointer, size_t bytes, unsigned) {
  if (const cudaError_t error = enter("cudaHostAlloc", nullptr, static_cast<int64_t>(bytes))) {
    return error;
  }
  *pointer = nullptr;
  if (bytes == 0) return cudaSuccess;
  Runtime& runtime = Runtime::instance();
  const std::lock_guard lock(runtime.mutex);
  if (const cudaError_t error = refuse_in_capture(runtime)) return error;
  std::byte* data = allocate(bytes);
  if (data == nullptr) return result(cudaErrorMemoryAllocation);
  runtime.allocations[data] = {MemoryKind::kPinned, current_device(), bytes};
  *pointer = data;
  return cudaSuccess;
}

cudaError_t cudaMallocHost(void** pointer, size_t bytes) {
  return cudaHostAlloc(pointer, bytes, cudaHostAllocDefault);
}

cudaError_t cudaFreeHost(void* pointer) {
  if (const cudaError_t error = enter("cudaFreeHost")) return error;
  return release(pointer, MemoryKind::kPinned);
}

cudaError_t cudaHostRegister(void* pointer, size_t bytes, unsigned) {
  if (const cudaError_t error = enter("cudaHostRegister", nullptr, static_cast<int64_t>(bytes))) {
    return error;
  }
  Runtime& runtime = Runtime::instance();
  const std::lock_guard lock(runtime.mutex);
  runtime.allocations[static_cast<std::byte*>(pointer)] = {
      MemoryKind::kPinned, current_device(), bytes, true};
  return cudaSuccess;
}

cudaError_t cudaHostUnregister(void* pointer) {
  if (const cudaError_t error = enter("cudaHostUnregister")) return error;
  Runtime& runtime = Runtime::instance();
  const std::lock_guard lock(runtime.mutex);
  return runtime.allocations.erase(static_cast<std::byte*>(pointer)) == 1
             ? cudaSuccess
             : result(cudaErrorInvalidValue);
}

cudaError_t cudaHostGetDevicePointer(void** device, void* host, unsigned) {
  *device = host;
  return cudaSuccess;
}

cudaError_t cudaMemGetInfo(size_t* free, size_t* total) {
  Runtime& runtime = Runtime::instance();
  const std::lock_guard lock(runtime.mutex);
  *total = static_cast<size_t>(settings().device_bytes);
  const auto used = static_cast<size_t>(runtime.allocated[static_cast<size_t>(current_device())]);
  *free = used < *total ? *total - used : 0;
  return cudaSuccess;
}

namespace {

cudaError_t submit_copy(
    void* to, const void* from, size_t bytes, cudaMemcpyKind kind, cudaStream_t stream) {
  if (bytes == 0) return cudaSuccess;
  if (!may_copy(to, from, bytes, kind)) return result(cudaErrorInvalidValue);
  Task task;
  task.name = "copy";
  task.run = [to, from, bytes] { std::memcpy(to, from, bytes); };
  return submit(resolve(stream), std::move(task));
}

cudaError_t submit_fill(void* to, int value, size_t bytes, cudaStream_t stream) {
  if (bytes == 0) return cudaSuccess;
  if (!fits(to, bytes, true)) return result(cudaErrorInvalidValue);
  Task task;
  task.name = "fill";
  task.run = [to, value, bytes] { std::memset(to, value, bytes); };
  return submit(resolve(stream), std::move(task));
}

// For calls on the default stream that wait for their own work.
cudaError_t wait_for_default_stream() {
  Runtime& runtime = Runtime::instance();
  std::unique_lock lock(runtime.mutex);
  runtime.wait(lock, resolve(nullptr)->last);
  return cudaSuccess;
}

}  // namespace

cudaError_t cudaMemcpy(void* to, const void* from, size_t bytes, cudaMemcpyKind kind) {
  if (const cudaError_t error = enter("cudaMemcpy", nullptr, static_cast<int64_t>(bytes))) {
    return error;
  }
  if (const cudaError_t error = submit_copy(to, from, bytes, kind, nullptr)) return error;
  return wait_for_default_stream();
}

cudaError_t cudaMemset(void* to, int value, size_t bytes) {
  if (const cudaError_t error = enter("cudaMemset", nullptr, static_cast<int64_t>(bytes))) {
    return error;
  }
  if (const cudaError_t error = submit_fill(to, value, bytes, nullptr)) return error;
  return wait_for_default_stream();
}

cudaError_t cudaMemcpyAsync(
    void* to, const void* from, size_t bytes, cudaMemcpyKind kind, cudaStream_t stream) {
  if (const cudaError_t error = enter("cudaMemcpyAsync", stream, static_cast<int64_t>(bytes))) {
    return error;
  }
  return submit_copy(to, from, bytes, kind, stream);
}

cudaError_t cudaMemcpy2DAsync(void* to,
                              size_t to_pitch,
                              const void* from,
                              size_t from_pitch,
                              size_t width,
                              size_t height,
                              cudaMemcpyKind kind,
                              cudaStream_t stream) {
  if (const cudaError_t error =
          enter("cudaMemcpy2DAsync", stream, static_cast<int64_t>(width * height))) {
    return error;
  }
  if (width > to_pitch || width > from_pitch) return result(cudaErrorInvalidValue);
  for (size_t row = 0; row < height; ++row) {
    auto* row_to = static_cast<std::byte*>(to) + row * to_pitch;
    const auto* row_from = static_cast<const std::byte*>(from) + row * from_pitch;
    if (const cudaError_t error = submit_copy(row_to, row_from, width, kind, stream)) return error;
  }
  return cudaSuccess;
}

cudaError_t cudaMemcpyPeerAsync(
    void* to, int, const void* from, int, size_t bytes, cudaStream_t stream) {
  if (const cudaError_t error = enter("cudaMemcpyPeerAsync", stream, static_cast<int64_t>(bytes))) {
    return error;
  }
  return submit_copy(to, from, bytes, cudaMemcpyDeviceToDevice, stream);
}

cudaError_t cudaMemsetAsync(void* to, int value, size_t bytes, cudaStream_t stream) {
  if (const cudaError_t error = enter("cudaMemsetAsync", stream, static_cast<int64_t>(bytes))) {
    return error;
  }
  return submit_fill(to, value, bytes, stream);
}

namespace {

struct IpcHandle {
  pid_t process;
  void* pointer;
};

// Adds `change` to the number of processes that have the memory open; returns its address.
cudaError_t count_import(void* memory, int change, void** pointer) {
  Runtime& runtime = Runtime::instance();
  const std::lock_guard lock(runtime.mutex);
  const auto found = runtime.allocations.find(static_cast<std::byte*>(memory));
  if (found == runtime.allocations.end() || found->second.num_imports + change < 0) {
    return result(cudaErrorInvalidValue);
  }
  found->second.num_imports += change;
  *pointer = memory;
  return cudaSuccess;
}

// Smaller allocations of a device share a unit, and a handle hands out the unit.
void check_whole_units(const void* memory) {
  constexpr size_t kUnit = 2 << 20;
  Runtime& runtime = Runtime::instance();
  const std::lock_guard lock(runtime.mutex);
  const auto found = runtime.allocations.find(static_cast<const std::byte*>(memory));
  if (found == runtime.allocations.end() || found->second.bytes % kUnit == 0) return;
  std::fprintf(stderr,
               "emulated CUDA: a cudaIpc handle of %zu bytes also hands out what lies beside them: "
               "shared memory is whole units of 2 MiB\n",
               found->second.bytes);
  std::fflush(stderr);
  std::abort();
}

}  // namespace

cudaError_t cudaIpcGetMemHandle(cudaIpcMemHandle_t* handle, void* pointer) {
  if (const cudaError_t error = enter("cudaIpcGetMemHandle")) return error;
  if (!fits(pointer, 1, true)) return result(cudaErrorInvalidValue);
  check_whole_units(pointer);
  const IpcHandle content{getpid(), pointer};
  *handle = {};
  std::memcpy(handle, &content, sizeof(content));
  return cudaSuccess;
}

cudaError_t cudaIpcOpenMemHandle(void** pointer, cudaIpcMemHandle_t handle, unsigned) {
  if (const cudaError_t error = enter("cudaIpcOpenMemHandle")) return error;
  IpcHandle content;
  std::memcpy(&content, &handle, sizeof(content));
  if (content.process != getpid()) return result(cudaErrorNotSupported);
  return count_import(content.pointer, 1, pointer);
}

cudaError_t cudaIpcCloseMemHandle(void* pointer) {
  if (const cudaError_t error = enter("cudaIpcCloseMemHandle")) return error;
  return count_import(pointer, -1, &pointer);
}
