// Hardware queues: streams that share one hold one another back, and a wait in front of the work
// that it waits for ends the process.
#include <cuda.h>

#include "tests/emulation/emulated.h"

namespace trireme::emulation {
namespace queue_test {

using ::testing::AllOf;
using ::testing::HasSubstr;

__global__ void append(uint32_t* list, uint32_t value) {
  if (threadIdx.x == 0) list[atomicAdd(list, 1u) + 1] = value;
}

// Signals the peer and waits for its signal.
__global__ void meet(uint32_t* own, uint32_t* peer) {
  if (threadIdx.x != 0) return;
  cuda::store_release_system(peer, 1);
  while (cuda::load_acquire_system(own) != 1) {
  }
}

class Queues : public ::testing::Test {
 protected:
  void SetUp() override { GTEST_FLAG_SET(death_test_style, "threadsafe"); }
  static void set_queues(int count) {
    Settings now = settings();
    now.num_queues = count;
    now.standstill_limit_s = 1;
    set_settings(now);
  }
  CUdeviceptr flag() const { return reinterpret_cast<CUdeviceptr>(words_.data()); }

  const ScopedSettings before_;
  const DeviceArray<uint32_t> words_{std::vector<uint32_t>(2)};
  const DeviceArray<uint32_t> list_{std::vector<uint32_t>(9)};
};

TEST_F(Queues, StreamsTakeThemInTheOrderInWhichTheyAreMade) {
  set_queues(2);
  const Stream first, second, third;
  uint32_t* flag = nullptr;
  ASSERT_EQ(cudaHostAlloc(&flag, 4, cudaHostAllocMapped), cudaSuccess);
  *flag = 0;
  const auto address = reinterpret_cast<CUdeviceptr>(flag);
  EXPECT_EQ(cuStreamWaitValue32(first.get(), address, 1, CU_STREAM_WAIT_VALUE_GEQ), CUDA_SUCCESS);
  launch(third.get(), {}, append, list_.data(), 3u);
  launch(second.get(), {}, append, list_.data(), 2u);
  second.wait();
  EXPECT_EQ(cudaStreamQuery(third.get()), cudaErrorNotReady) << "stands behind the first's wait";
  __atomic_store_n(flag, 1, __ATOMIC_RELEASE);
  third.wait();
  EXPECT_EQ(list_.read(), (std::vector<uint32_t>{2, 2, 3, 0, 0, 0, 0, 0, 0}));
  EXPECT_EQ(cudaFreeHost(flag), cudaSuccess);
}

void wait_then_write(CUdeviceptr flag) {
  const Stream waits, writes;
  EXPECT_EQ(cuStreamWaitValue32(waits.get(), flag, 1, CU_STREAM_WAIT_VALUE_GEQ), CUDA_SUCCESS);
  EXPECT_EQ(cuStreamWriteValue32(writes.get(), flag, 1, 0), CUDA_SUCCESS);
  waits.wait();
}

TEST_F(Queues, AWaitInFrontOfTheWriteItWaitsForIsNamed) {
  set_queues(1);
  EXPECT_DEATH(wait_then_write(flag()),
               AllOf(HasSubstr("device 0, hardware queue 0: write a value of stream 1 could run"),
                     HasSubstr("stands behind wait for a value of stream 0, which waits")));
}

TEST_F(Queues, WithAQueuePerStreamTheWriteReleasesTheWait) {
  set_queues(2);
  wait_then_write(flag());
}

void meet_with_work_behind(uint32_t* words, uint32_t* list) {
  const Stream first, second;
  launch(first.get(), {}, meet, words, words + 1);
  launch(first.get(), {}, append, list, 1u);  // begins when `meet` has ended
  launch(second.get(), {}, meet, words + 1, words);
  first.wait();
  second.wait();
}

TEST_F(Queues, WorkBehindAKernelThatSpinsForItIsNamed) {
  set_queues(1);
  EXPECT_DEATH(meet_with_work_behind(words_.data(), list_.data()),
               AllOf(HasSubstr("meet of stream 1 could run, but stands behind kernel "),
                     HasSubstr("append of stream 0, which waits"),
                     HasSubstr("meet of stream 0")));
}

TEST_F(Queues, WithAQueuePerStreamKernelsMeet) {
  set_queues(2);
  meet_with_work_behind(words_.data(), list_.data());
  EXPECT_EQ(list_.read()[1], 1u);
}

// A branch that waits holds back the other branch of its graph no more than a device would.
TEST_F(Queues, BranchesOfAGraphAreOrderedByTheGraphOnly) {
  set_queues(1);
  const Stream stream, side;
  cudaEvent_t event = nullptr;
  ASSERT_EQ(cudaEventCreateWithFlags(&event, cudaEventDisableTiming), cudaSuccess);
  ASSERT_EQ(cudaStreamBeginCapture(stream.get(), cudaStreamCaptureModeThreadLocal), cudaSuccess);
  launch(stream.get(), {}, append, list_.data(), 1u);
  EXPECT_EQ(cudaEventRecord(event, stream.get()), cudaSuccess);
  EXPECT_EQ(cudaStreamWaitEvent(side.get(), event), cudaSuccess);
  launch(stream.get(), {}, meet, words_.data(), words_.data() + 1);
  launch(stream.get(), {}, append, list_.data(), 2u);
  launch(side.get(), {}, meet, words_.data() + 1, words_.data());
  EXPECT_EQ(cudaEventRecord(event, side.get()), cudaSuccess);
  EXPECT_EQ(cudaStreamWaitEvent(stream.get(), event), cudaSuccess);
  cudaGraph_t graph = nullptr;
  ASSERT_EQ(cudaStreamEndCapture(stream.get(), &graph), cudaSuccess);
  cudaGraphExec_t exec = nullptr;
  EXPECT_EQ(cudaGraphInstantiate(&exec, graph), cudaSuccess);
  EXPECT_EQ(cudaGraphLaunch(exec, stream.get()), cudaSuccess);
  stream.wait();
  EXPECT_EQ(list_.read()[0], 2u);
  EXPECT_EQ(cudaGraphExecDestroy(exec), cudaSuccess);
  EXPECT_EQ(cudaGraphDestroy(graph), cudaSuccess);
  EXPECT_EQ(cudaEventDestroy(event), cudaSuccess);
}

}  // namespace queue_test
}  // namespace trireme::emulation
