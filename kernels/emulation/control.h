// Control of the emulated devices by tests. Settings are per process: change them only while no
// work is enqueued. The environment gives initial values: TRIREME_EMULATION_SEED, _ORDER (forward,
// reverse, random), _DEVICE (sm_86, sm_90), _QUEUES, _TENSOR_CORES (round, truncate) and _CUBLASLT
// (the version of the emulated library).
#pragma once

#include <cuda_runtime.h>

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "kernels/emulation/block.h"

namespace trireme::emulation {

// Limits of a device. Blocks per multiprocessor follow from shared memory and threads, as on a real
// device; `max_blocks` stands in for the limit by registers, which the emulation does not have. The
// defaults are those of an H200.
struct Limits {
  int major = 9;  // of the compute capability
  int minor = 0;
  int64_t shared_bytes_per_block = 227 * 1024;
  int64_t shared_bytes_per_multiprocessor = 228 * 1024;
  int threads_per_multiprocessor = 2048;
  int max_blocks = 2;  // per multiprocessor
};
// A10, A40, RTX 3090; L4, L40S and RTX 4090 (sm_89) have the same memory.
constexpr Limits kLimitsOfSm86 = {8, 6, 99 * 1024, 100 * 1024, 1536, 2};

// The emulated cuBLASLt. Without a version it is missing: cublasLtCreate() fails.
struct CublasLtSettings {
  size_t version = 0;
  int num_algorithms = 2;  // the last is the fastest
  int work = 1;            // products that a call of the fastest computes, to make it slower
  int64_t max_rows = int64_t{1} << 31;  // larger calls are not supported
};

struct Settings {
  uint64_t seed = 1;
  Order order = Order::kRandom;
  int num_devices = 8;
  int num_multiprocessors = 6;  // per device; also limits blocks that wait for one another
  // A stream's wait for a word that another device writes needs CU_STREAM_WAIT_VALUE_FLUSH; without
  // it the process ends. False: the devices refuse the flag.
  bool can_flush_remote_writes = true;
  int64_t device_bytes = int64_t{1} << 30;
  int64_t graph_bytes = 0;      // device memory taken by each instantiated graph
  int blocks_in_flight = 1;     // blocks of a launch that run interleaved from the start
  bool overlaps = true;         // run the first part of a programmatic launch early
  bool truncates_sums = false;  // mma cuts its sums, as tensor cores do, instead of rounding each
  int spin_limit_s = 60;        // a kernel that only spins for this long ends the process
  // Hardware queues of each device, dealt to its streams in the order in which they are made; 0:
  // CUDA_DEVICE_MAX_CONNECTIONS when a stream is made, or 8 as on a device.
  int num_queues = 0;
  // Nothing has run or been enqueued for this long while work is held back by a hardware queue, or
  // a host thread by a call that waits for the device: the process ends and names both.
  int standstill_limit_s = 10;
  Limits limits;
  CublasLtSettings cublaslt;
  int linger_us = 100;  // a device starts when the host waits or has enqueued nothing for this long
};

// Blocks of this many threads and bytes of shared memory that a multiprocessor holds at once.
int resident_blocks(int threads, int64_t shared_bytes);

Settings settings();
void set_settings(const Settings& settings);
// Changes with each set_settings(); devices then reseed.
uint64_t settings_version();

// A call of the runtime API. `bytes`: the size of an allocation, copy or fill, or the shared memory
// of a launch.
struct Call {
  std::string name;
  std::string detail;  // a launch: the kernel's name
  cudaStream_t stream = nullptr;
  int64_t bytes = 0;
  bool is_captured = false;  // captured into a graph, not enqueued
};

// Traces the calls of all threads, in order, until stop_call_trace() returns them.
void start_call_trace();
std::vector<Call> stop_call_trace();

// Whether the call allocates or frees memory, or creates or destroys a stream, event or graph.
bool allocates(const Call& call);
// Whether the call makes the host wait for the device.
bool synchronizes(const Call& call);

// Algorithm `index` of the emulated cuBLASLt, as the library represents it.
std::array<uint64_t, 8> cublaslt_algorithm(int index);

// Makes one call of `name` fail with `error`, after `skip` calls that succeed.
void fail_call(const std::string& name, cudaError_t error, int skip = 0);

// Bytes of a device in use: by cudaMalloc and cuMemCreate, and by graphs.
int64_t allocated_bytes(int device);

}  // namespace trireme::emulation
