// The state of the emulated runtime API: devices, streams, events, recorded graphs, memory. The
// process's, as CUDA's own is; all guarded by one mutex.
#pragma once

#include <cuda_runtime.h>

#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "kernels/emulation/control.h"
#include "kernels/emulation/device.h"

namespace trireme::emulation {

struct GraphNode {
  Task task;
  int device = 0;
  std::vector<size_t> dependencies;  // earlier nodes
};

struct Graph {
  std::vector<GraphNode> nodes;
  std::thread::id thread;  // who records it
  cudaStreamCaptureMode mode = cudaStreamCaptureModeGlobal;
  bool is_invalid = false;
};

}  // namespace trireme::emulation

struct CUstream_st {
  int device = 0;
  bool is_blocking = true;  // ordered with the default stream
  trireme::emulation::WorkPtr last;
  std::shared_ptr<trireme::emulation::Graph> capture;
  std::vector<size_t> capture_last;  // nodes that the next one depends on
  bool is_origin = false;            // began the capture
};

struct CUevent_st {
  bool has_time = true;
  trireme::emulation::WorkPtr work;
  std::shared_ptr<trireme::emulation::Graph> capture;  // recorded inside it
  std::vector<size_t> capture_last;
  std::shared_ptr<std::chrono::steady_clock::time_point> time;
};

struct CUgraph_st {
  std::shared_ptr<const trireme::emulation::Graph> graph;
};

struct CUgraphExec_st {
  std::shared_ptr<const trireme::emulation::Graph> graph;
  int device = 0;  // whose memory it takes
  int64_t bytes = 0;
  trireme::emulation::WorkPtr last;  // a graph does not overlap itself
};

namespace trireme::emulation {

enum class MemoryKind : uint8_t { kDevice, kPinned };
struct Allocation {
  MemoryKind kind;
  int device;
  size_t bytes;
  bool is_registered = false;  // memory of the caller
  int num_imports = 0;         // by cudaIpcOpenMemHandle
};

// Memory behind reserved addresses.
struct Physical {
  int device;
  size_t bytes;
  const std::byte* mapped = nullptr;  // where; null: nowhere
  bool is_released = false;
};

struct Runtime {
  static Runtime& instance();

  std::mutex mutex;
  std::condition_variable done;  // some work is done
  std::vector<std::unique_ptr<Device>> devices;
  std::vector<std::unique_ptr<CUstream_st>> default_streams;  // by device
  std::vector<CUstream_st*> streams;
  std::map<const std::byte*, Allocation> allocations;
  std::vector<int64_t> allocated;                   // bytes, by device
  std::map<const std::byte*, size_t> reserved;      // addresses without memory
  std::map<unsigned long long, Physical> physical;  // by handle
  unsigned long long last_physical = 0;
  std::vector<std::weak_ptr<Graph>> captures;
  std::map<const void*, int> shared_limits;  // by kernel

  Device& device(int index) { return *devices[static_cast<size_t>(index)]; }
  void begin_all();
  // Waits for `work`; with the mutex held by `lock`.
  void wait(std::unique_lock<std::mutex>& lock, const WorkPtr& work);

 private:
  Runtime();
};

// Every function of the API begins with this: keeps the call if calls are recorded, and says
// whether it is to fail. Calls on a stream that records say so.
cudaError_t enter(const char* name,
                  cudaStream_t stream = nullptr,
                  int64_t bytes = 0,
                  const std::string& detail = "");
// Notes the error for cudaGetLastError() and gives it back.
cudaError_t result(cudaError_t error);
// The current device of this thread.
int current_device();
// The stream, or the default stream of the current device.
cudaStream_t resolve(cudaStream_t stream);
// A stream's next piece of work, or the next node of the graph that it records. `also`: events.
cudaError_t submit(cudaStream_t stream, Task task);
bool is_recording();
// What may not be called while this thread records a graph (unless in relaxed mode).
cudaError_t refuse_in_capture(Runtime& runtime);

}  // namespace trireme::emulation
