// What a test may set and ask of the emulated devices. Settings are the process's: set them while
// no work is enqueued. First values come from the environment: TRIREME_EMULATION_SEED,
// TRIREME_EMULATION_ORDER (forward, reverse, random) and TRIREME_EMULATION_DEVICE (sm_86, sm_90).
#pragma once

#include <cuda_runtime.h>

#include <cstdint>
#include <string>
#include <vector>

#include "kernels/emulation/block.h"

namespace trireme::emulation {

// What a device gives: its blocks by shared memory and threads, as a real one; for registers, which
// the emulation has not, `most_blocks` stands. First the figures of an H200.
struct Limits {
  int major = 9;  // of the compute capability
  int minor = 0;
  int64_t shared_bytes_per_block = 227 * 1024;
  int64_t shared_bytes_per_multiprocessor = 228 * 1024;
  int threads_per_multiprocessor = 2048;
  int most_blocks = 2;  // of a multiprocessor
};
// A10, A40, RTX 3090; L4, L40S and RTX 4090 (sm_89) have the same memory.
constexpr Limits kLimitsOfSm86 = {8, 6, 99 * 1024, 100 * 1024, 1536, 2};

struct Settings {
  uint64_t seed = 1;
  Order order = Order::kRandom;
  int num_devices = 8;
  int num_multiprocessors = 6;  // of each device; so many blocks may wait for one another
  int64_t device_bytes = int64_t{1} << 30;
  int64_t graph_bytes = 0;   // that a graph takes of its device from its instantiation on
  int blocks_in_flight = 1;  // blocks of a launch that run interleaved from the start
  bool overlaps = true;      // run a programmatic launch's first part ahead
  int spin_limit_s = 60;     // a kernel that does nothing but spin for so long ends the process
  Limits limits;
  int linger_us = 100;  // a device begins when the host waits or has enqueued nothing for so long
};

Settings settings();
void set_settings(const Settings& settings);
// Changes with each set_settings(): the devices take the seed anew.
uint64_t settings_version();

// A call of the runtime API. `bytes`: of an allocation, copy or fill, shared bytes of a launch.
struct Call {
  std::string name;
  std::string detail;  // a launch: the kernel's name
  cudaStream_t stream = nullptr;
  int64_t bytes = 0;
  bool is_captured = false;  // recorded into a graph, not enqueued
};

// Keeps the calls of all threads, in order, until stop_recording() hands them out.
void start_recording();
std::vector<Call> stop_recording();

// Allocates or frees memory, or makes or destroys a stream, event or graph.
bool allocates(const Call& call);
// Makes the host wait for the device.
bool synchronizes(const Call& call);

// The call `name` fails with `error`, after `skip` calls that do not; once.
void fail_call(const std::string& name, cudaError_t error, int skip = 0);

// Bytes of a device that are in use: by cudaMalloc and cuMemCreate, and by graphs.
int64_t allocated_bytes(int device);

}  // namespace trireme::emulation
