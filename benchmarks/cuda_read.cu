// Reads memory once, 16 bytes per thread at a time, and discards it: the maximum rate of every
// kernel bound by memory.
//
// Layout: plain bytes. Bound: bytes. Share of peak: not yet measured.
#include "benchmarks/cuda_bench.h"
#include "kernels/cuda/arch.h"
#include "kernels/cuda/launch.h"

namespace trireme {

namespace {

constexpr int32_t kThreads = 512;
constexpr int32_t kAtOnce = 8;  // loads in flight per thread: 128 KiB per SM
constexpr int32_t kBlocksAnSm = 2;
constexpr uint32_t kNever = 0x7fc5a3d1;  // a sum that random data practically never has

__device__ __forceinline__ uint32_t mix(uint4 v) { return v.x ^ v.y ^ v.z ^ v.w; }

__global__ void __launch_bounds__(kThreads)
    read_once(const std::byte* data, int64_t chunks, uint32_t* sink) {
  cuda::dependency_wait();
  const int64_t stride = int64_t{gridDim.x} * kThreads;
  int64_t at = int64_t{blockIdx.x} * kThreads + threadIdx.x;
  uint32_t sum = 0;
  for (; at + (kAtOnce - 1) * stride < chunks; at += kAtOnce * stride) {
    uint4 values[kAtOnce];
#pragma unroll
    for (int32_t i = 0; i < kAtOnce; ++i)
      values[i] = cuda::load_once(data + 16 * (at + i * stride));
#pragma unroll
    for (int32_t i = 0; i < kAtOnce; ++i) sum ^= mix(values[i]);
  }
  for (; at < chunks; at += stride) sum ^= mix(cuda::load_once(data + 16 * at));
  if (sum == kNever) *sink = sum;
}

}  // namespace

void enqueue_read(cuda::CudaQueue& queue, const std::byte* data, int64_t bytes, uint32_t* sink) {
  cuda::LaunchConfig config;
  config.grid = {static_cast<unsigned>(kBlocksAnSm * queue.num_blocks()), 1, 1};
  config.block = {kThreads, 1, 1};
  cuda::launch(queue, "read_once", read_once, config, data, bytes / 16, sink);
}

}  // namespace trireme
