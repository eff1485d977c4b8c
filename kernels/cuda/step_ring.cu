// The two ends of a captured step: take_entry copies the step's inputs, post writes its results and
// counts the step.
//
//   take_entry: to = inputs.entries[*step mod depth]
//   post: results.entries[*step mod depth] = from, its last 8 bytes the uint64 *step + 1; ++*step
//
// Layout: StepRing. Results lie in mapped host memory; the host polls the last 8 bytes of an entry.
//
// Bound: the bus, entry_bytes. Share of peak: not yet measured.
#include <algorithm>

#include "base/check.h"
#include "kernels/cuda/arch.h"
#include "kernels/cuda/backend.h"
#include "kernels/cuda/copy_bytes.h"
#include "kernels/cuda/launch.h"

namespace trireme::cuda {

namespace {

constexpr int32_t kThreads = 256;
constexpr int64_t kBlockBytes = kThreads * 16 * 2;
constexpr int64_t kFlagBytes = sizeof(uint64_t);

constexpr int32_t kMaxDepth = 1 << 15;

// step mod depth by 32-bit remainders; the 64-bit remainder is a function call with a stack.
constexpr uint32_t remainder_of(uint64_t step, uint32_t depth) {
  const uint32_t high = static_cast<uint32_t>(step >> 32) % depth;
  const uint32_t low = static_cast<uint32_t>(step) % depth;
  const uint32_t unit = (0xffffffffu % depth + 1) % depth;  // 2^32 mod depth
  return (high * unit + low) % depth;
}
static_assert(remainder_of(0xfedcba9876543210ull, 12345) == 0xfedcba9876543210ull % 12345);
static_assert(remainder_of(~0ull, kMaxDepth - 1) == ~0ull % (kMaxDepth - 1));
static_assert(remainder_of(7, 1) == 0);

__device__ __forceinline__ std::byte* entry_of(const StepRing& ring, uint64_t step) {
  return ring.entries + remainder_of(step, static_cast<uint32_t>(ring.depth)) * ring.entry_bytes;
}

__global__ void __launch_bounds__(kThreads) take(StepRing inputs, std::byte* to) {
  dependency_wait();
  const CopyShare share = {static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x,
                           static_cast<int64_t>(gridDim.x) * kThreads};
  copy_bytes(to, entry_of(inputs, *inputs.step), inputs.entry_bytes, share);
}

// One block, so that its barrier orders every thread's stores before the release, and every
// thread's read of the step before its end.
__global__ void __launch_bounds__(kThreads)
    post_entry(const std::byte* from, int64_t bytes, StepRing results) {
  dependency_wait();
  const uint64_t step = *results.step;
  std::byte* entry = entry_of(results, step);
  copy_bytes<Readers::kPeers>(entry, from, bytes, {static_cast<int64_t>(threadIdx.x), kThreads});
  __syncthreads();
  if (threadIdx.x != 0) return;
  auto* flag = reinterpret_cast<uint64_t*>(entry + results.entry_bytes - kFlagBytes);
  store_release_system(flag, step + 1);
  *results.step = step + 1;
}

}  // namespace

void CudaBackend::take_entry(Queue& queue, const StepRing& inputs, std::byte* to) {
  CHECK(inputs.depth > 0 && inputs.depth <= kMaxDepth && inputs.entry_bytes > 0);
  CudaQueue& stream = cuda_queue(queue);
  LaunchConfig config;
  config.grid.x = static_cast<unsigned>(std::clamp<int64_t>(
      (inputs.entry_bytes + kBlockBytes - 1) / kBlockBytes, 1, stream.num_blocks()));
  config.block.x = kThreads;
  launch(stream, "take_entry", take, config, inputs, to);
}

void CudaBackend::post(Queue& queue,
                       const std::byte* from,
                       int64_t bytes,
                       const StepRing& results) {
  CHECK(results.depth > 0 && results.depth <= kMaxDepth && results.entry_bytes % kFlagBytes == 0);
  CHECK(bytes >= 0 && bytes + kFlagBytes <= results.entry_bytes);
  LaunchConfig config;
  config.block.x = kThreads;
  launch(cuda_queue(queue), "post", post_entry, config, from, bytes, results);
}

}  // namespace trireme::cuda
