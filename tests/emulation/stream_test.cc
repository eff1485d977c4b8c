#include <cuda.h>

#include <algorithm>
#include <set>
#include <thread>

#include "tests/emulation/emulated.h"

namespace trireme::emulation {
namespace stream_test {

__global__ void append(uint32_t* list, uint32_t value) {
  if (threadIdx.x == 0) list[atomicAdd(list, 1u) + 1] = value;
}

// The order in which eight kernels on each of two streams ran.
std::vector<uint32_t> order_of_two_streams(bool is_ordered) {
  const DeviceArray<uint32_t> list(std::vector<uint32_t>(17));
  const Stream first, second;
  cudaEvent_t event = nullptr;
  EXPECT_EQ(cudaEventCreateWithFlags(&event, cudaEventDisableTiming), cudaSuccess);
  for (uint32_t i = 0; i < 8; ++i) launch(first.get(), {}, append, list.data(), i);
  if (is_ordered) {
    EXPECT_EQ(cudaEventRecord(event, first.get()), cudaSuccess);
    EXPECT_EQ(cudaStreamWaitEvent(second.get(), event), cudaSuccess);
  }
  for (uint32_t i = 8; i < 16; ++i) launch(second.get(), {}, append, list.data(), i);
  first.wait();
  second.wait();
  EXPECT_EQ(cudaEventDestroy(event), cudaSuccess);
  std::vector<uint32_t> order = list.read();
  order.erase(order.begin());
  return order;
}

TEST(Streams, WithoutAnEventTwoStreamsInterleave) {
  const std::vector<uint32_t> order = order_of_two_streams(false);
  EXPECT_FALSE(std::is_sorted(order.begin(), order.end()));
  for (const uint32_t start : {0u, 8u}) {  // each stream keeps its own order
    std::vector<uint32_t> own;
    for (const uint32_t value : order) {
      if (value / 8 == start / 8) own.push_back(value);
    }
    EXPECT_TRUE(std::is_sorted(own.begin(), own.end()));
    EXPECT_EQ(own.size(), 8u);
  }
}

TEST(Streams, SeedsInterleaveThemDifferently) {
  std::set<std::vector<uint32_t>> orders;
  for (uint64_t seed = 0; seed < 10; ++seed) {
    const ScopedSettings scoped(Order::kRandom, seed);
    orders.insert(order_of_two_streams(false));
  }
  EXPECT_GT(orders.size(), 5u);
}

TEST(Streams, AnEventOrdersTwoStreams) {
  for (int i = 0; i < 20; ++i) {
    const std::vector<uint32_t> order = order_of_two_streams(true);
    EXPECT_TRUE(std::is_sorted(order.begin(), order.end()));
  }
}

TEST(Streams, ACopyReadsHostMemoryLate) {
  const Settings before = settings();
  Settings patient = before;
  patient.linger_us = 10'000'000;  // the device starts at the wait, however slow the host is
  set_settings(patient);
  const DeviceArray<uint32_t> word(1);
  const Stream stream;
  uint32_t host = 1;
  EXPECT_EQ(cudaMemcpyAsync(word.data(), &host, 4, cudaMemcpyHostToDevice, stream.get()),
            cudaSuccess);
  host = 2;  // reused too early: the device sees it
  stream.wait();
  EXPECT_EQ(word.read()[0], 2u);
  set_settings(before);
}

TEST(Streams, TheDeviceStartsByItselfWhenTheHostOnlyPollsMemory) {
  uint32_t* word = nullptr;
  ASSERT_EQ(cudaHostAlloc(&word, 8, cudaHostAllocMapped), cudaSuccess);
  *word = 0;
  const Stream stream;
  launch(stream.get(), {}, append, word, 5u);
  while (__atomic_load_n(word, __ATOMIC_ACQUIRE) == 0) std::this_thread::yield();
  stream.wait();
  EXPECT_EQ(word[1], 5u);
  EXPECT_EQ(cudaFreeHost(word), cudaSuccess);
}

TEST(Streams, AQueryDoesNotWait) {
  const Stream stream;
  uint32_t* flag = nullptr;
  ASSERT_EQ(cudaHostAlloc(&flag, 4, cudaHostAllocMapped), cudaSuccess);
  *flag = 0;
  const auto address = reinterpret_cast<CUdeviceptr>(flag);
  EXPECT_EQ(cuStreamWaitValue32(stream.get(), address, 3, CU_STREAM_WAIT_VALUE_GEQ), CUDA_SUCCESS);
  EXPECT_EQ(cudaStreamQuery(stream.get()), cudaErrorNotReady);
  __atomic_store_n(flag, 4, __ATOMIC_RELEASE);
  stream.wait();
  EXPECT_EQ(cudaStreamQuery(stream.get()), cudaSuccess);
  EXPECT_EQ(cudaFreeHost(flag), cudaSuccess);
}

TEST(Streams, AWrittenValueReleasesTheStreamThatWaitsForIt) {
  const DeviceArray<uint32_t> list(std::vector<uint32_t>(3));
  const DeviceArray<uint32_t> flag(std::vector<uint32_t>(1));
  const auto address = reinterpret_cast<CUdeviceptr>(flag.data());
  const Stream first, second;
  EXPECT_EQ(cuStreamWaitValue32(second.get(), address, 1, CU_STREAM_WAIT_VALUE_EQ), CUDA_SUCCESS);
  launch(second.get(), {}, append, list.data(), 2u);
  launch(first.get(), {}, append, list.data(), 1u);
  EXPECT_EQ(cuStreamWriteValue32(first.get(), address, 1, 0), CUDA_SUCCESS);
  second.wait();
  EXPECT_EQ(list.read(), (std::vector<uint32_t>{2, 1, 2}));
}

TEST(Streams, TheDefaultStreamIsOrderedWithBlockingStreams) {
  const DeviceArray<uint32_t> list(std::vector<uint32_t>(4));
  cudaStream_t stream = nullptr;
  ASSERT_EQ(cudaStreamCreate(&stream), cudaSuccess);
  launch(stream, {}, append, list.data(), 1u);
  launch(nullptr, {}, append, list.data(), 2u);
  launch(stream, {}, append, list.data(), 3u);
  EXPECT_EQ(cudaDeviceSynchronize(), cudaSuccess);
  EXPECT_EQ(list.read(), (std::vector<uint32_t>{3, 1, 2, 3}));
  EXPECT_EQ(cudaStreamDestroy(stream), cudaSuccess);
}

TEST(Streams, EventsMeasureTheTimeBetweenThem) {
  const Stream stream;
  cudaEvent_t start = nullptr, end = nullptr;
  ASSERT_EQ(cudaEventCreate(&start), cudaSuccess);
  ASSERT_EQ(cudaEventCreate(&end), cudaSuccess);
  const DeviceArray<uint32_t> list(std::vector<uint32_t>(2));
  EXPECT_EQ(cudaEventRecord(start, stream.get()), cudaSuccess);
  launch(stream.get(), {}, append, list.data(), 1u);
  EXPECT_EQ(cudaEventRecord(end, stream.get()), cudaSuccess);
  EXPECT_EQ(cudaEventSynchronize(end), cudaSuccess);
  EXPECT_EQ(cudaEventQuery(start), cudaSuccess);
  float ms = -1;
  EXPECT_EQ(cudaEventElapsedTime(&ms, start, end), cudaSuccess);
  EXPECT_GT(ms, 0);
  EXPECT_EQ(cudaEventDestroy(start), cudaSuccess);
  EXPECT_EQ(cudaEventDestroy(end), cudaSuccess);
}

// Each block signals the peer's block of the same index and waits for its signal.
__global__ void meet(uint32_t* own, uint32_t* peer, uint32_t* met) {
  if (threadIdx.x != 0) return;
  cuda::store_release_system(peer + blockIdx.x, 1);
  while (cuda::load_acquire_system(own + blockIdx.x) != 1) {
  }
  atomicAdd(met, 1u);
}

TEST(Devices, KernelsOfTwoDevicesThatWaitForOneAnotherMeet) {
  const DeviceArray<uint32_t> flags(std::vector<uint32_t>(13));
  Stream first;
  ASSERT_EQ(cudaSetDevice(1), cudaSuccess);
  Stream second;
  ASSERT_EQ(cudaSetDevice(0), cudaSuccess);
  uint32_t* a = flags.data();
  launch(first.get(), {.grid = {6}, .block = {64}}, meet, a, a + 6, a + 12);
  launch(second.get(), {.grid = {6}, .block = {64}}, meet, a + 6, a, a + 12);
  first.wait();
  second.wait();
  EXPECT_EQ(flags.read()[12], 12u);
}

TEST(Devices, KernelsOfOneDeviceThatWaitForOneAnotherMeet) {
  const DeviceArray<uint32_t> flags(std::vector<uint32_t>(13));
  const Stream first, second;
  uint32_t* a = flags.data();
  launch(first.get(), {.grid = {6}, .block = {64}}, meet, a, a + 6, a + 12);
  launch(second.get(), {.grid = {6}, .block = {64}}, meet, a + 6, a, a + 12);
  first.wait();
  second.wait();
  EXPECT_EQ(flags.read()[12], 12u);
}

// Doubles the values of its predecessor; `early` reads them before dependency_wait(), as a wrong
// kernel would.
template <bool early>
__global__ void double_words(uint32_t* words) {
  uint32_t read = early ? words[blockIdx.x * blockDim.x + threadIdx.x] : 0;
  cuda::dependency_wait();
  if (!early) read = words[blockIdx.x * blockDim.x + threadIdx.x];
  words[blockIdx.x * blockDim.x + threadIdx.x] = 2 * read;
}

std::vector<uint32_t> after_chain(void (*kernel)(uint32_t*)) {
  const DeviceArray<uint32_t> words(std::vector<uint32_t>(128, 1));
  const Stream stream;
  for (int i = 0; i < 3; ++i) {
    launch(stream.get(), {.grid = {4}, .overlaps = true}, kernel, words.data());
  }
  stream.wait();
  return words.read();
}

TEST(Overlap, ASuccessorsPartBeforeTheWaitRunsBeforeItsPredecessor) {
  EXPECT_EQ(after_chain(double_words<false>), std::vector<uint32_t>(128, 8));
  EXPECT_NE(after_chain(double_words<true>), std::vector<uint32_t>(128, 8));
}

}  // namespace stream_test
}  // namespace trireme::emulation
