// The state of the emulated runtime API: devices, streams, events, captured graphs, memory. Per
// process, as CUDA's own; all guarded by one mutex.
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

// New memory holds NaN; in larger allocations only the start, so that untouched pages cost nothing.
constexpr size_t kMaxPoisonedBytes = 16 << 20;

struct GraphNode {
  Task task;
  int device = 0;
  std::vector<size_t> dependencies;  // earlier nodes
};

struct Graph {
  std::vector<GraphNode> nodes;
  std::thread::id thread;  // the thread that captures it
  cudaStreamCaptureMode mode = cudaStreamCaptureModeGlobal;
  bool is_invalid = false;
};

}  // namespace trireme::emulation

struct CUstream_st {
  int device = 0;
  int index = -1;           // in order of creation on its device; -1: the default stream
  int queue = -1;           // the hardware queue
  bool is_blocking = true;  // ordered with the default stream
  trireme::emulation::WorkPtr last;
  std::shared_ptr<trireme::emulation::Graph> capture;
  std::vector<size_t> capture_last;  // dependencies of the next node
  bool is_origin = false;            // began the capture
};

struct CUevent_st {
  bool has_time = true;
  trireme::emulation::WorkPtr work;
  std::shared_ptr<trireme::emulation::Graph> capture;  // graph that captured the event
  std::vector<size_t> capture_last;
  std::shared_ptr<std::chrono::steady_clock::time_point> time;
};

struct CUgraph_st {
  std::shared_ptr<const trireme::emulation::Graph> graph;
};

struct CUgraphExec_st {
  std::shared_ptr<const trireme::emulation::Graph> graph;
  int device = 0;  // whose memory the graph takes
  int64_t bytes = 0;
  bool is_uploaded = false;
  trireme::emulation::WorkPtr last;  // launches of one graph do not overlap
};

namespace trireme::emulation {

enum class MemoryKind : uint8_t { kDevice, kPinned };
struct Allocation {
  MemoryKind kind;
  int device;
  size_t bytes;
  bool is_registered = false;  // by the caller; not ours to free
  int num_imports = 0;         // by cudaIpcOpenMemHandle
};

// Physical memory, which can be mapped to reserved addresses.
struct Physical {
  int device;
  size_t bytes;
  const std::byte* mapped = nullptr;  // its address; null: not mapped
  bool is_released = false;
};

struct Runtime {
  static Runtime& instance();

  std::mutex mutex;
  std::condition_variable done;  // signals that work was completed
  std::vector<std::unique_ptr<Device>> devices;
  std::vector<std::unique_ptr<CUstream_st>> default_streams;  // by device
  std::vector<CUstream_st*> streams;
  std::vector<int> num_streams_made;            // by device, also of streams that were destroyed
  uint64_t num_launches = 0;                    // QueuePlace::launch of the last one
  std::map<const uint32_t*, int> word_writers;  // by word: the device whose stream wrote it last
  Activity activity;
  std::map<const std::byte*, Allocation> allocations;
  std::vector<int64_t> allocated;                   // bytes, by device
  std::map<const std::byte*, size_t> reserved;      // addresses without memory
  std::map<unsigned long long, Physical> physical;  // by handle
  unsigned long long last_physical = 0;
  std::vector<std::weak_ptr<Graph>> captures;
  std::map<const void*, int> shared_limits;  // by kernel

  Device& device(int index) { return *devices[static_cast<size_t>(index)]; }
  void begin_all();
  // Waits for `work`; called with the mutex held by `lock`.
  void wait(std::unique_lock<std::mutex>& lock, const WorkPtr& work);
  // Waits for all work enqueued on the device, as calls do that may take or free its memory. Ends
  // the process, and names `call` and the work in progress, if that never ends: a rank that shares
  // the device may wait for the caller. Called with the mutex held by `lock`.
  void wait_for_device(std::unique_lock<std::mutex>& lock, int device, const char* call);
  // The place of a new launch on the stream. Called with the mutex held.
  QueuePlace next_place(const CUstream_st& stream);

 private:
  Runtime();
};

// Called first by every API function: traces the call if calls are traced, and returns the error
// that a test ordered. Calls on a capturing stream are marked as captured.
cudaError_t enter(const char* name,
                  cudaStream_t stream = nullptr,
                  int64_t bytes = 0,
                  const std::string& detail = "");
// Stores the error for cudaGetLastError() and returns it.
cudaError_t result(cudaError_t error);
// The current device of this thread.
int current_device();
// The stream, or the default stream of the current device.
cudaStream_t resolve(cudaStream_t stream);
// Appends a task to the stream, or a node to the graph that the stream captures. `also`: events to
// wait for.
cudaError_t submit(cudaStream_t stream, Task task);
bool is_tracing_calls();
// The error of a call that is illegal while this thread captures a graph (unless in relaxed mode).
cudaError_t refuse_in_capture(Runtime& runtime);
// The error of a call that waits for a whole device: illegal while any thread of the process
// captures a graph, in every mode, and it spoils the capture.
cudaError_t refuse_beside_a_capture(Runtime& runtime);

}  // namespace trireme::emulation
