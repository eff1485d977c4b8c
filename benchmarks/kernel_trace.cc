// libkernel_trace.so, an injection library of CUDA: writes start, end, stream, graph and node of
// every kernel and copy of a process. It reads no counters and needs no rights of its own.
//   CUDA_INJECTION64_PATH=/folder/libkernel_trace.so KERNEL_TRACE=FILE program ...
// The driver loads it with CUDA; CUPTI is opened at run time (KERNEL_TRACE_CUPTI names the
// library). A process that runs no kernel writes no file; others write FILE.PID, one line per
// record:
//   name,ID,TEXT                                      before the first kernel of that name
//   kernel,START,END,DEVICE,STREAM,GRAPH,NODE,BLOCKS,THREADS,REGISTERS,SHARED_BYTES,ID
//   copy,START,END,DEVICE,STREAM,GRAPH,NODE,BYTES,KIND    set: the same without KIND
//   dropped,COUNT                                     records that CUPTI had no room for
// START and END are nanoseconds of CLOCK_MONOTONIC; GRAPH is 0 outside a graph. Lines are in the
// order of CUPTI's buffers. CUPTI's thread writes; the mutex is for the flush at the exit.
#include <cupti.h>
#include <cxxabi.h>
#include <dlfcn.h>
#include <unistd.h>

#include <cinttypes>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <mutex>
#include <string>
#include <unordered_map>

#include "base/environment.h"

namespace {

constexpr size_t kBufferBytes = size_t{8} << 20;
constexpr uint32_t kFlushMs = 500;  // what a killed process loses at most

// The functions of CUPTI that are used.
struct Cupti {
  decltype(&cuptiActivityRegisterCallbacks) register_callbacks = nullptr;
  decltype(&cuptiActivityRegisterTimestampCallback) register_clock = nullptr;
  decltype(&cuptiActivityEnable) enable = nullptr;
  decltype(&cuptiActivityFlushPeriod) flush_period = nullptr;
  decltype(&cuptiActivityFlushAll) flush_all = nullptr;
  decltype(&cuptiActivityGetNextRecord) next_record = nullptr;
  decltype(&cuptiActivityGetNumDroppedRecords) num_dropped = nullptr;
};

// CUPTI's callbacks have no argument of their own, so that the state is one object per process.
struct Trace {
  Cupti cupti;
  std::string path;
  std::mutex mutex;  // guards what follows
  FILE* file = nullptr;
  std::unordered_map<std::string, int> names;
};

Trace& trace() {
  static Trace* const only = new Trace;  // never destroyed: CUPTI's thread may outlive main()
  return *only;
}

bool open_file(Trace& t) {
  if (t.file != nullptr) return true;
  const std::string path = t.path + "." + std::to_string(getpid());
  t.file = std::fopen(path.c_str(), "w");
  return t.file != nullptr;
}

// "void trireme::linear_tile<...>" without its arguments.
std::string readable(const char* name) {
  int status = 0;
  char* demangled = abi::__cxa_demangle(name, nullptr, nullptr, &status);
  std::string text = status == 0 ? demangled : name;
  std::free(demangled);
  if (text.ends_with(")")) {
    int depth = 0;
    size_t at = text.size();
    do {
      --at;
      depth += text[at] == ')' ? 1 : text[at] == '(' ? -1 : 0;
    } while (depth > 0 && at > 0);
    text.resize(at);
  }
  return text;
}

int id_of(Trace& t, const char* name) {
  const auto [place, is_new] = t.names.try_emplace(name, static_cast<int>(t.names.size()));
  if (is_new) std::fprintf(t.file, "name,%d,%s\n", place->second, readable(name).c_str());
  return place->second;
}

// The fields that kernels, copies and sets have in common.
template <class Record>
void write_place(Trace& t, const char* kind, const Record& record) {
  std::fprintf(t.file,
               "%s,%" PRIu64 ",%" PRIu64 ",%u,%u,%u,%" PRIu64,
               kind,
               record.start,
               record.end,
               record.deviceId,
               record.streamId,
               record.graphId,
               record.graphNodeId);
}

void write_record(Trace& t, const CUpti_Activity* record) {
  switch (record->kind) {
    case CUPTI_ACTIVITY_KIND_CONCURRENT_KERNEL: {
      const auto& kernel = *reinterpret_cast<const CUpti_ActivityKernel10*>(record);
      const int id = id_of(t, kernel.name);
      write_place(t, "kernel", kernel);
      std::fprintf(t.file,
                   ",%d,%d,%d,%d,%d\n",
                   kernel.gridX * kernel.gridY * kernel.gridZ,
                   kernel.blockX * kernel.blockY * kernel.blockZ,
                   kernel.registersPerThread,
                   kernel.staticSharedMemory + kernel.dynamicSharedMemory,
                   id);
      break;
    }
    case CUPTI_ACTIVITY_KIND_MEMCPY: {
      const auto& copy = *reinterpret_cast<const CUpti_ActivityMemcpy6*>(record);
      write_place(t, "copy", copy);
      std::fprintf(t.file, ",%" PRIu64 ",%d\n", copy.bytes, copy.copyKind);
      break;
    }
    case CUPTI_ACTIVITY_KIND_MEMSET: {
      const auto& set = *reinterpret_cast<const CUpti_ActivityMemset4*>(record);
      write_place(t, "set", set);
      std::fprintf(t.file, ",%" PRIu64 "\n", set.bytes);
      break;
    }
    default:
      break;
  }
}

void CUPTIAPI request_buffer(uint8_t** buffer, size_t* bytes, size_t* max_records) {
  *buffer = static_cast<uint8_t*>(std::aligned_alloc(8, kBufferBytes));
  *bytes = *buffer == nullptr ? 0 : kBufferBytes;
  *max_records = 0;
}

void CUPTIAPI take_buffer(CUcontext, uint32_t, uint8_t* buffer, size_t, size_t valid) {
  Trace& t = trace();
  const std::lock_guard lock(t.mutex);
  CUpti_Activity* record = nullptr;
  while (valid > 0 && t.cupti.next_record(buffer, valid, &record) == CUPTI_SUCCESS) {
    if (!open_file(t)) break;
    write_record(t, record);
  }
  size_t dropped = 0;
  t.cupti.num_dropped(nullptr, 0, &dropped);
  if (dropped > 0 && open_file(t)) std::fprintf(t.file, "dropped,%zu\n", dropped);
  if (t.file != nullptr) std::fflush(t.file);
  std::free(buffer);
}

uint64_t CUPTIAPI monotonic_ns() {
  timespec now = {};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<uint64_t>(now.tv_sec) * 1'000'000'000 + static_cast<uint64_t>(now.tv_nsec);
}

void finish() { trace().cupti.flush_all(CUPTI_ACTIVITY_FLAG_FLUSH_FORCED); }

template <class Function>
bool find(void* library, const char* name, Function& function) {
  function = reinterpret_cast<Function>(dlsym(library, name));
  return function != nullptr;
}

bool open_cupti(Cupti& cupti) {
  const std::string path = trireme::environment("KERNEL_TRACE_CUPTI").value_or("libcupti.so.13");
  void* library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  return library != nullptr &&
         find(library, "cuptiActivityRegisterCallbacks", cupti.register_callbacks) &&
         find(library, "cuptiActivityRegisterTimestampCallback", cupti.register_clock) &&
         find(library, "cuptiActivityEnable", cupti.enable) &&
         find(library, "cuptiActivityFlushPeriod", cupti.flush_period) &&
         find(library, "cuptiActivityFlushAll", cupti.flush_all) &&
         find(library, "cuptiActivityGetNextRecord", cupti.next_record) &&
         find(library, "cuptiActivityGetNumDroppedRecords", cupti.num_dropped);
}

bool start(const Cupti& cupti) {
  const bool started = cupti.register_clock(monotonic_ns) == CUPTI_SUCCESS &&
                       cupti.register_callbacks(request_buffer, take_buffer) == CUPTI_SUCCESS &&
                       cupti.enable(CUPTI_ACTIVITY_KIND_CONCURRENT_KERNEL) == CUPTI_SUCCESS;
  if (!started) return false;
  cupti.enable(CUPTI_ACTIVITY_KIND_MEMCPY);
  cupti.enable(CUPTI_ACTIVITY_KIND_MEMSET);
  cupti.flush_period(kFlushMs);
  return true;
}

}  // namespace

// Called by the driver when a process initializes CUDA. The process goes on if nothing is recorded.
extern "C" __attribute__((visibility("default"))) int InitializeInjection() {
  Trace& t = trace();
  const auto path = trireme::environment("KERNEL_TRACE");
  if (!path) return 1;
  t.path = *path;
  if (!open_cupti(t.cupti)) {
    const char* reason = dlerror();
    std::fprintf(stderr, "kernel trace: no CUPTI 13: %s\n", reason == nullptr ? "?" : reason);
    return 1;
  }
  if (!start(t.cupti)) {
    std::fprintf(stderr, "kernel trace: CUPTI does not record here\n");
    return 1;
  }
  std::atexit(finish);
  return 1;
}
