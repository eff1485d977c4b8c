// Streams, events and the driver's stream memory operations.
#include <cuda.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>

#include "kernels/emulation/runtime.h"

using trireme::emulation::enter;
using trireme::emulation::refuse_beside_a_capture;
using trireme::emulation::refuse_in_capture;
using trireme::emulation::resolve;
using trireme::emulation::result;
using trireme::emulation::Runtime;
using trireme::emulation::submit;
using trireme::emulation::Task;

cudaError_t cudaStreamCreateWithPriority(cudaStream_t* stream, unsigned flags, int) {
  if (const cudaError_t error = enter("cudaStreamCreateWithPriority")) return error;
  Runtime& runtime = Runtime::instance();
  const std::lock_guard lock(runtime.mutex);
  *stream = new CUstream_st;
  const int device = trireme::emulation::current_device();
  (*stream)->device = device;
  (*stream)->index = runtime.num_streams_made[static_cast<size_t>(device)]++;
  (*stream)->queue = (*stream)->index % trireme::emulation::num_hardware_queues();
  (*stream)->is_blocking = (flags & cudaStreamNonBlocking) == 0;
  runtime.streams.push_back(*stream);
  return cudaSuccess;
}

cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned flags) {
  return cudaStreamCreateWithPriority(stream, flags, 0);
}

cudaError_t cudaStreamCreate(cudaStream_t* stream) {
  return cudaStreamCreateWithPriority(stream, cudaStreamDefault, 0);
}

cudaError_t cudaStreamDestroy(cudaStream_t stream) {
  if (const cudaError_t error = enter("cudaStreamDestroy", stream)) return error;
  Runtime& runtime = Runtime::instance();
  const std::lock_guard lock(runtime.mutex);
  std::erase(runtime.streams, stream);
  delete stream;
  return cudaSuccess;
}

cudaError_t cudaStreamSynchronize(cudaStream_t stream) {
  if (const cudaError_t error = enter("cudaStreamSynchronize", stream)) return error;
  Runtime& runtime = Runtime::instance();
  std::unique_lock lock(runtime.mutex);
  if (const cudaError_t error = refuse_in_capture(runtime)) return error;
  if (resolve(stream)->capture != nullptr) return result(cudaErrorStreamCaptureUnsupported);
  runtime.wait(lock, resolve(stream)->last);
  return cudaSuccess;
}

cudaError_t cudaStreamQuery(cudaStream_t stream) {
  if (const cudaError_t error = enter("cudaStreamQuery", stream)) return error;
  Runtime& runtime = Runtime::instance();
  const std::lock_guard lock(runtime.mutex);
  if (const cudaError_t error = refuse_in_capture(runtime)) return error;
  if (resolve(stream)->capture != nullptr) return result(cudaErrorStreamCaptureUnsupported);
  runtime.begin_all();
  const auto& last = resolve(stream)->last;
  return last == nullptr || last->is_done ? cudaSuccess : cudaErrorNotReady;
}

cudaError_t cudaDeviceSynchronize() {
  if (const cudaError_t error = enter("cudaDeviceSynchronize")) return error;
  Runtime& runtime = Runtime::instance();
  std::unique_lock lock(runtime.mutex);
  if (const cudaError_t error = refuse_beside_a_capture(runtime)) return error;
  const int device = trireme::emulation::current_device();
  runtime.wait_for_device(lock, device, "cudaDeviceSynchronize");
  return cudaSuccess;
}

cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned) {
  if (const cudaError_t error = enter("cudaStreamWaitEvent", stream)) return error;
  stream = resolve(stream);
  Runtime& runtime = Runtime::instance();
  const std::lock_guard lock(runtime.mutex);
  if (event->capture != nullptr) {
    if (stream->capture != nullptr && stream->capture != event->capture) {
      return result(cudaErrorStreamCaptureIsolation);
    }
    stream->capture = event->capture;
    for (const size_t node : event->capture_last) {
      const auto& last = stream->capture_last;
      if (std::find(last.begin(), last.end(), node) == last.end()) {
        stream->capture_last.push_back(node);
      }
    }
    return cudaSuccess;
  }
  if (event->work == nullptr) return cudaSuccess;
  if (stream->capture != nullptr) return result(cudaErrorStreamCaptureIsolation);
  Task task;
  task.name = "wait for an event";
  stream->last =
      runtime.device(stream->device)
          .enqueue(std::move(task), {stream->last, event->work}, runtime.next_place(*stream));
  return cudaSuccess;
}

cudaError_t cudaLaunchHostFunc(cudaStream_t stream, void (*function)(void*), void* data) {
  if (const cudaError_t error = enter("cudaLaunchHostFunc", stream)) return error;
  Task task;
  task.name = "host function";
  task.run = [function, data] { function(data); };
  return submit(resolve(stream), std::move(task));
}

cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned flags) {
  if (const cudaError_t error = enter("cudaEventCreateWithFlags")) return error;
  *event = new CUevent_st;
  (*event)->has_time = (flags & cudaEventDisableTiming) == 0;
  return cudaSuccess;
}

cudaError_t cudaEventCreate(cudaEvent_t* event) {
  return cudaEventCreateWithFlags(event, cudaEventDefault);
}

cudaError_t cudaEventDestroy(cudaEvent_t event) {
  if (const cudaError_t error = enter("cudaEventDestroy")) return error;
  delete event;
  return cudaSuccess;
}

cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream) {
  if (const cudaError_t error = enter("cudaEventRecord", stream)) return error;
  stream = resolve(stream);
  Runtime& runtime = Runtime::instance();
  {
    const std::lock_guard lock(runtime.mutex);
    event->capture = stream->capture;
    event->capture_last = stream->capture_last;
    if (stream->capture != nullptr) {
      event->work = nullptr;
      return cudaSuccess;
    }
  }
  auto time = std::make_shared<std::chrono::steady_clock::time_point>();
  Task task;
  task.name = "record an event";
  task.run = [time] { *time = std::chrono::steady_clock::now(); };
  if (const cudaError_t error = submit(stream, std::move(task))) return error;
  const std::lock_guard lock(runtime.mutex);
  event->work = stream->last;
  event->time = std::move(time);
  return cudaSuccess;
}

cudaError_t cudaEventQuery(cudaEvent_t event) {
  if (const cudaError_t error = enter("cudaEventQuery")) return error;
  Runtime& runtime = Runtime::instance();
  const std::lock_guard lock(runtime.mutex);
  if (const cudaError_t error = refuse_in_capture(runtime)) return error;
  if (event->capture != nullptr) return result(cudaErrorStreamCaptureUnsupported);
  runtime.begin_all();
  return event->work == nullptr || event->work->is_done ? cudaSuccess : cudaErrorNotReady;
}

cudaError_t cudaEventSynchronize(cudaEvent_t event) {
  if (const cudaError_t error = enter("cudaEventSynchronize")) return error;
  Runtime& runtime = Runtime::instance();
  std::unique_lock lock(runtime.mutex);
  if (const cudaError_t error = refuse_in_capture(runtime)) return error;
  if (event->capture != nullptr) return result(cudaErrorStreamCaptureUnsupported);
  runtime.wait(lock, event->work);
  return cudaSuccess;
}

cudaError_t cudaEventElapsedTime(float* ms, cudaEvent_t start, cudaEvent_t end) {
  if (!start->has_time || !end->has_time) return result(cudaErrorInvalidResourceHandle);
  Runtime& runtime = Runtime::instance();
  const std::lock_guard lock(runtime.mutex);
  if (start->work == nullptr || end->work == nullptr) {
    return result(cudaErrorInvalidResourceHandle);
  }
  if (!start->work->is_done || !end->work->is_done) return cudaErrorNotReady;
  *ms = std::chrono::duration<float, std::milli>(*end->time - *start->time).count();
  return cudaSuccess;
}

namespace {

CUresult submit_word(CUstream stream, Task task) {
  return submit(resolve(stream), std::move(task)) == cudaSuccess ? CUDA_SUCCESS
                                                                 : CUDA_ERROR_UNKNOWN;
}

bool has_come(uint32_t word, uint32_t value, unsigned flags) {
  switch (flags & 3) {
    case CU_STREAM_WAIT_VALUE_GEQ:
      return static_cast<int32_t>(word - value) >= 0;
    case CU_STREAM_WAIT_VALUE_EQ:
      return word == value;
    case CU_STREAM_WAIT_VALUE_AND:
      return (word & value) != 0;
    default:
      return ~(word | value) != 0;
  }
}

// Without a flush, earlier writes of another device may be missing when its word is seen.
void check_writer(const uint32_t* word, int device) {
  Runtime& runtime = Runtime::instance();
  const std::lock_guard lock(runtime.mutex);
  const auto writer = runtime.word_writers.find(word);
  if (writer == runtime.word_writers.end() || writer->second == device) return;
  std::fprintf(
      stderr,
      "emulated CUDA: a stream of device %d waited for a word that device %d writes, without "
      "CU_STREAM_WAIT_VALUE_FLUSH: what that device wrote before may not have arrived\n",
      device,
      writer->second);
  std::fflush(stderr);
  std::abort();
}

}  // namespace

CUresult cuStreamWriteValue32(CUstream stream, CUdeviceptr address, cuuint32_t value, unsigned) {
  if (enter("cuStreamWriteValue32", stream, 4) != cudaSuccess) return CUDA_ERROR_UNKNOWN;
  if (address == 0 || address % 4 != 0) return CUDA_ERROR_INVALID_VALUE;
  // NOLINTNEXTLINE(performance-no-int-to-ptr): an address is a number in this interface
  auto* word = reinterpret_cast<uint32_t*>(address);
  const int device = resolve(stream)->device;
  Task task;
  task.name = "write a value";
  task.run = [word, value, device] {
    Runtime& runtime = Runtime::instance();
    const std::lock_guard lock(runtime.mutex);
    runtime.word_writers[word] = device;
    __atomic_store_n(word, value, __ATOMIC_RELEASE);
  };
  return submit_word(stream, std::move(task));
}

CUresult cuStreamWaitValue32(CUstream stream,
                             CUdeviceptr address,
                             cuuint32_t value,
                             unsigned flags) {
  if (enter("cuStreamWaitValue32", stream, 4) != cudaSuccess) return CUDA_ERROR_UNKNOWN;
  if (address == 0 || address % 4 != 0) return CUDA_ERROR_INVALID_VALUE;
  const bool can_flush = trireme::emulation::settings().can_flush_remote_writes;
  const bool flushes = (flags & CU_STREAM_WAIT_VALUE_FLUSH) != 0;
  if (flushes && !can_flush) return CUDA_ERROR_NOT_SUPPORTED;
  // NOLINTNEXTLINE(performance-no-int-to-ptr): an address is a number in this interface
  const auto* word = reinterpret_cast<const uint32_t*>(address);
  const int device = resolve(stream)->device;
  Task task;
  task.name = "wait for a value";
  task.may_run = [word, value, flags] {
    return has_come(__atomic_load_n(word, __ATOMIC_ACQUIRE), value, flags);
  };
  if (can_flush && !flushes) task.run = [word, device] { check_writer(word, device); };
  return submit_word(stream, std::move(task));
}
