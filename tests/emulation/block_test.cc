#include <algorithm>
#include <cstdio>
#include <ctime>
#include <numeric>

#include "tests/emulation/emulated.h"

namespace trireme::emulation {
namespace block_test {

using cuda::shared_memory;

struct Words {
  uint32_t word[256];
};

__global__ void note_indices(uint32_t* out) {
  const uint32_t block = blockIdx.x + gridDim.x * (blockIdx.y + gridDim.y * blockIdx.z);
  const uint32_t thread = threadIdx.x + blockDim.x * (threadIdx.y + blockDim.y * threadIdx.z);
  const uint32_t threads = blockDim.x * blockDim.y * blockDim.z;
  out[block * threads + thread] = block * 1000 + thread;
}

TEST(Block, EveryThreadOfAGridRunsOnceUnderItsIndex) {
  for (const Order order : {Order::kForward, Order::kReverse, Order::kRandom}) {
    const ScopedSettings scoped(order);
    const DeviceArray<uint32_t> out(24 * 70);
    run({.grid = {2, 3, 4}, .block = {7, 5, 2}}, note_indices, out.data());
    const std::vector<uint32_t> got = out.read();
    for (uint32_t i = 0; i < got.size(); ++i) EXPECT_EQ(got[i], i / 70 * 1000 + i % 70);
  }
}

// Reverses an array through shared memory.
template <bool has_barrier>
__global__ void turn_round(uint32_t* out) {
  auto& shared = shared_memory<Words>();
  shared.word[threadIdx.x] = threadIdx.x;
  if (has_barrier) __syncthreads();
  out[threadIdx.x] = shared.word[blockDim.x - 1 - threadIdx.x];
}

std::vector<uint32_t> turned(void (*kernel)(uint32_t*), Order order, uint64_t seed) {
  const ScopedSettings scoped(order, seed);
  const DeviceArray<uint32_t> out(128);
  run({.block = {128}, .shared_bytes = sizeof(Words)}, kernel, out.data());
  return out.read();
}

TEST(Block, ABarrierMakesEveryOrderGiveTheSame) {
  std::vector<uint32_t> right(128);
  std::iota(right.rbegin(), right.rend(), 0);
  for (const Order order : {Order::kForward, Order::kReverse, Order::kRandom}) {
    for (uint64_t seed = 1; seed < 5; ++seed)
      EXPECT_EQ(turned(turn_round<true>, order, seed), right);
  }
}

TEST(Block, AMissingBarrierIsSeenInEveryOrder) {
  std::vector<uint32_t> right(128);
  std::iota(right.rbegin(), right.rend(), 0);
  for (const Order order : {Order::kForward, Order::kReverse, Order::kRandom}) {
    const std::vector<uint32_t> got = turned(turn_round<false>, order, 1);
    EXPECT_NE(got, right);
    EXPECT_EQ(std::count(got.begin(), got.end(), 0xffffffffu), 64) << "half of it is read early";
  }
}

__global__ void many_barriers(uint32_t* out) {
  auto& shared = shared_memory<Words>();
  shared.word[threadIdx.x] = threadIdx.x;
  for (int i = 0; i < 50; ++i) {
    __syncthreads();
    const uint32_t next = shared.word[(threadIdx.x + 1) % blockDim.x];
    __syncthreads();
    shared.word[threadIdx.x] = next;
  }
  out[threadIdx.x] = shared.word[threadIdx.x];
}

// Measured in processor time, which other load does not change.
TEST(Block, AHundredBarriersOf256ThreadsTakeLessThanFiveMilliseconds) {
  const DeviceArray<uint32_t> out(256);
  const Shape shape{.block = {256}, .shared_bytes = sizeof(Words)};
  run(shape, many_barriers, out.data());
  EXPECT_EQ(out.read()[7], 57u);
  const std::clock_t start = std::clock();
  for (int i = 0; i < 10; ++i) run(shape, many_barriers, out.data());
  const double ms = 100.0 * static_cast<double>(std::clock() - start) / CLOCKS_PER_SEC;
  std::printf("%.3f ms a block\n", ms);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
  EXPECT_LT(ms, 5);
#endif
}

// Each block logs two turns, one before and one after a barrier.
__global__ void note_turns(uint32_t* list) {
  for (int turn = 0; turn < 2; ++turn) {
    if (threadIdx.x == 0) list[atomicAdd(list, 1u) + 1] = blockIdx.x;
    __syncthreads();
  }
}

TEST(Block, BlocksRunOneAfterAnotherUnlessSeveralAreInFlight) {
  const ScopedSettings scoped(Order::kForward);
  const DeviceArray<uint32_t> list(std::vector<uint32_t>(5));
  run({.grid = {2}}, note_turns, list.data());
  EXPECT_EQ(list.read(), (std::vector<uint32_t>{4, 0, 0, 1, 1}));
  Settings interleaved = settings();
  interleaved.blocks_in_flight = 2;
  set_settings(interleaved);
  const DeviceArray<uint32_t> other(std::vector<uint32_t>(5));
  run({.grid = {2}}, note_turns, other.data());
  EXPECT_EQ(other.read(), (std::vector<uint32_t>{4, 0, 1, 0, 1}));
}

__global__ void sum_of_warp(float* out) {
  float sum = static_cast<float>(threadIdx.x);
  for (int bits = 16; bits > 0; bits /= 2) sum += __shfl_xor_sync(0xffffffffu, sum, bits);
  out[threadIdx.x] = sum;
}

TEST(Warp, AShuffleGivesEachLaneItsPartnersValue) {
  for (const Order order : {Order::kForward, Order::kReverse, Order::kRandom}) {
    const ScopedSettings scoped(order);
    const DeviceArray<float> out(64);
    run({.block = {64}}, sum_of_warp, out.data());
    const std::vector<float> got = out.read();
    for (int i = 0; i < 64; ++i) EXPECT_EQ(got[static_cast<size_t>(i)], i < 32 ? 496 : 1520);
  }
}

}  // namespace block_test
}  // namespace trireme::emulation
