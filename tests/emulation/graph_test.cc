#include <algorithm>
#include <functional>
#include <thread>

#include "tests/emulation/emulated.h"

namespace trireme::emulation {
namespace graph_test {

__global__ void add_value(uint32_t* word, uint32_t value) {
  if (threadIdx.x == 0) *word += value;
}
__global__ void multiply_value(uint32_t* word, uint32_t value) {
  if (threadIdx.x == 0) *word *= value;
}
__global__ void append(uint32_t* list, uint32_t value) {
  if (threadIdx.x == 0) list[atomicAdd(list, 1u) + 1] = value;
}

cudaGraphExec_t instantiate(cudaStream_t stream) {
  cudaGraph_t graph = nullptr;
  EXPECT_EQ(cudaStreamEndCapture(stream, &graph), cudaSuccess);
  cudaGraphExec_t exec = nullptr;
  EXPECT_EQ(cudaGraphInstantiate(&exec, graph), cudaSuccess);
  EXPECT_EQ(cudaGraphDestroy(graph), cudaSuccess);
  return exec;
}

TEST(Graph, ReplayUsesTheArgumentsOfTheCapture) {
  const DeviceArray<uint32_t> word(std::vector<uint32_t>{1});
  const Stream stream;
  ASSERT_EQ(cudaStreamBeginCapture(stream.get(), cudaStreamCaptureModeThreadLocal), cudaSuccess);
  uint32_t value = 3;
  launch(stream.get(), {}, multiply_value, word.data(), value);
  value = 10;
  launch(stream.get(), {}, add_value, word.data(), value);
  value = 1000;
  cudaGraphExec_t exec = instantiate(stream.get());
  EXPECT_EQ(word.read()[0], 1u) << "a capture runs nothing";
  EXPECT_EQ(cudaGraphLaunch(exec, stream.get()), cudaSuccess);
  EXPECT_EQ(cudaGraphLaunch(exec, stream.get()), cudaSuccess);
  stream.wait();
  EXPECT_EQ(word.read()[0], 49u);  // (1 * 3 + 10) * 3 + 10
  EXPECT_EQ(cudaGraphExecDestroy(exec), cudaSuccess);
}

TEST(Graph, ACopyReadsItsSourceAtEachReplay) {
  const DeviceArray<uint32_t> word(1);
  const Stream stream;
  uint32_t host = 1;
  ASSERT_EQ(cudaStreamBeginCapture(stream.get(), cudaStreamCaptureModeThreadLocal), cudaSuccess);
  EXPECT_EQ(cudaMemcpyAsync(word.data(), &host, 4, cudaMemcpyHostToDevice, stream.get()),
            cudaSuccess);
  cudaGraphExec_t exec = instantiate(stream.get());
  for (const uint32_t value : {5u, 6u}) {
    host = value;
    EXPECT_EQ(cudaGraphLaunch(exec, stream.get()), cudaSuccess);
    stream.wait();
    EXPECT_EQ(word.read()[0], value);
  }
  EXPECT_EQ(cudaGraphExecDestroy(exec), cudaSuccess);
}

struct Fork {
  cudaEvent_t begin = nullptr;
  cudaEvent_t end = nullptr;
  Fork() {
    EXPECT_EQ(cudaEventCreateWithFlags(&begin, cudaEventDisableTiming), cudaSuccess);
    EXPECT_EQ(cudaEventCreateWithFlags(&end, cudaEventDisableTiming), cudaSuccess);
  }
  ~Fork() {
    cudaEventDestroy(begin);
    cudaEventDestroy(end);
  }
};

TEST(Graph, AForkedStreamIsCapturedAndItsBranchesAreUnordered) {
  const DeviceArray<uint32_t> list(11);
  const Stream stream, side;
  const Fork fork;
  ASSERT_EQ(cudaStreamBeginCapture(stream.get(), cudaStreamCaptureModeGlobal), cudaSuccess);
  EXPECT_EQ(cudaMemsetAsync(list.data(), 0, 44, stream.get()), cudaSuccess);
  EXPECT_EQ(cudaEventRecord(fork.begin, stream.get()), cudaSuccess);
  EXPECT_EQ(cudaStreamWaitEvent(side.get(), fork.begin), cudaSuccess);
  cudaStreamCaptureStatus status = cudaStreamCaptureStatusNone;
  EXPECT_EQ(cudaStreamIsCapturing(side.get(), &status), cudaSuccess);
  EXPECT_EQ(status, cudaStreamCaptureStatusActive);
  for (uint32_t i = 0; i < 4; ++i) launch(stream.get(), {}, append, list.data(), i);
  for (uint32_t i = 4; i < 8; ++i) launch(side.get(), {}, append, list.data(), i);
  EXPECT_EQ(cudaEventRecord(fork.end, side.get()), cudaSuccess);
  EXPECT_EQ(cudaStreamWaitEvent(stream.get(), fork.end), cudaSuccess);
  launch(stream.get(), {}, append, list.data(), 8u);
  cudaGraph_t graph = nullptr;
  ASSERT_EQ(cudaStreamEndCapture(stream.get(), &graph), cudaSuccess);
  size_t num_nodes = 0;
  EXPECT_EQ(cudaGraphGetNodes(graph, nullptr, &num_nodes), cudaSuccess);
  EXPECT_EQ(num_nodes, 10u);
  cudaGraphExec_t exec = nullptr;
  EXPECT_EQ(cudaGraphInstantiate(&exec, graph), cudaSuccess);
  bool has_interleaved = false;
  for (int i = 0; i < 5; ++i) {
    EXPECT_EQ(cudaGraphLaunch(exec, stream.get()), cudaSuccess);
    stream.wait();
    const std::vector<uint32_t> got = list.read();
    EXPECT_EQ(got[0], 9u);
    EXPECT_EQ(got[9], 8u) << "the join waits for both";
    has_interleaved |= !std::is_sorted(got.begin() + 1, got.begin() + 10);
  }
  EXPECT_TRUE(has_interleaved);
  EXPECT_EQ(cudaGraphExecDestroy(exec), cudaSuccess);
  EXPECT_EQ(cudaGraphDestroy(graph), cudaSuccess);
}

TEST(Graph, AForkThatIsNotJoinedIsAnError) {
  const DeviceArray<uint32_t> word(std::vector<uint32_t>{0});
  const Stream stream, side;
  const Fork fork;
  ASSERT_EQ(cudaStreamBeginCapture(stream.get(), cudaStreamCaptureModeThreadLocal), cudaSuccess);
  EXPECT_EQ(cudaEventRecord(fork.begin, stream.get()), cudaSuccess);
  EXPECT_EQ(cudaStreamWaitEvent(side.get(), fork.begin), cudaSuccess);
  launch(side.get(), {}, add_value, word.data(), 1u);
  cudaGraph_t graph = nullptr;
  EXPECT_EQ(cudaStreamEndCapture(stream.get(), &graph), cudaErrorStreamCaptureUnjoined);
  EXPECT_EQ(graph, nullptr);
}

// The default stream waits for blocking streams; it cannot wait for one that is capturing.
TEST(Graph, TheDefaultStreamIsRefusedOnlyWhileABlockingStreamCaptures) {
  const DeviceArray<uint32_t> word(1);
  const uint32_t value = 7;
  for (const unsigned flags : {cudaStreamNonBlocking, cudaStreamDefault}) {
    cudaStream_t stream = nullptr;
    ASSERT_EQ(cudaStreamCreateWithFlags(&stream, flags), cudaSuccess);
    ASSERT_EQ(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal), cudaSuccess);
    cudaError_t error = cudaSuccess;
    std::thread([&] { error = cudaMemcpy(word.data(), &value, 4, cudaMemcpyHostToDevice); }).join();
    EXPECT_EQ(error, flags == cudaStreamNonBlocking ? cudaSuccess : cudaErrorStreamCaptureImplicit);
    cudaGraph_t graph = nullptr;
    EXPECT_EQ(cudaStreamEndCapture(stream, &graph), cudaSuccess);
    EXPECT_EQ(cudaGraphDestroy(graph), cudaSuccess);
    EXPECT_EQ(cudaStreamDestroy(stream), cudaSuccess);
  }
  EXPECT_EQ(word.read()[0], 7u);
}

TEST(Graph, AllocationAndSynchronisationAreRefusedInACapture) {
  const Stream stream;
  cudaGraph_t graph = nullptr;
  void* memory = nullptr;
  ASSERT_EQ(cudaStreamBeginCapture(stream.get(), cudaStreamCaptureModeThreadLocal), cudaSuccess);
  EXPECT_EQ(cudaMalloc(&memory, 16), cudaErrorStreamCaptureUnsupported);
  EXPECT_EQ(cudaStreamEndCapture(stream.get(), &graph), cudaErrorStreamCaptureInvalidated);
  ASSERT_EQ(cudaStreamBeginCapture(stream.get(), cudaStreamCaptureModeThreadLocal), cudaSuccess);
  EXPECT_EQ(cudaStreamSynchronize(stream.get()), cudaErrorStreamCaptureUnsupported);
  EXPECT_EQ(cudaStreamEndCapture(stream.get(), &graph), cudaErrorStreamCaptureInvalidated);
  ASSERT_EQ(cudaStreamBeginCapture(stream.get(), cudaStreamCaptureModeRelaxed), cudaSuccess);
  EXPECT_EQ(cudaMalloc(&memory, 16), cudaSuccess);
  EXPECT_EQ(cudaStreamEndCapture(stream.get(), &graph), cudaSuccess);
  EXPECT_EQ(cudaGraphDestroy(graph), cudaSuccess);
  EXPECT_EQ(cudaFree(memory), cudaSuccess);
}

// Such calls wait for streams that other threads capture, which have no work to wait for.
TEST(Graph, CallsForAWholeDeviceAreRefusedWhileAnyThreadCaptures) {
  void* memory = nullptr;
  ASSERT_EQ(cudaMalloc(&memory, 16), cudaSuccess);
  const Stream stream, other;
  const auto spoils = [&](const std::function<cudaError_t()>& call) {
    EXPECT_EQ(cudaStreamBeginCapture(stream.get(), cudaStreamCaptureModeThreadLocal), cudaSuccess);
    cudaError_t error = cudaSuccess;
    std::thread([&] { error = call(); }).join();
    cudaGraph_t graph = nullptr;
    const cudaError_t ended = cudaStreamEndCapture(stream.get(), &graph);
    if (ended == cudaSuccess) cudaGraphDestroy(graph);
    EXPECT_EQ(error, ended == cudaSuccess ? cudaSuccess : cudaErrorStreamCaptureUnsupported);
    return ended == cudaErrorStreamCaptureInvalidated;
  };
  EXPECT_TRUE(spoils([] { return cudaDeviceSynchronize(); }));
  EXPECT_TRUE(spoils([&] { return cudaFree(memory); }));
  EXPECT_FALSE(spoils([&] { return cudaMemsetAsync(memory, 0, 16, other.get()); }));
  EXPECT_FALSE(spoils([&] { return cudaStreamSynchronize(other.get()); }));
  EXPECT_EQ(cudaFree(memory), cudaSuccess);
}

// Making a graph may take device memory, and memory is taken once the device is idle.
class GraphMemory : public ::testing::Test {
 protected:
  void SetUp() override {
    GTEST_FLAG_SET(death_test_style, "threadsafe");
    Settings now = settings();
    now.linger_us = 10'000'000;  // nothing runs before the host waits
    now.standstill_limit_s = 1;
    set_settings(now);
    ASSERT_EQ(cudaStreamBeginCapture(stream_.get(), cudaStreamCaptureModeThreadLocal), cudaSuccess);
    launch(stream_.get(), {}, add_value, word_.data(), 1u);
    ASSERT_EQ(cudaStreamEndCapture(stream_.get(), &graph_), cudaSuccess);
  }
  void TearDown() override {
    if (exec_ != nullptr) cudaGraphExecDestroy(exec_);
    EXPECT_EQ(cudaGraphDestroy(graph_), cudaSuccess);
  }
  // Whether `call` waits for the work of another stream.
  template <class Call>
  bool waits(const Call& call) {
    launch(other_.get(), {}, add_value, word_.data(), 1u);
    EXPECT_EQ(call(), cudaSuccess);
    const bool is_done = cudaStreamQuery(other_.get()) == cudaSuccess;
    other_.wait();
    return is_done;
  }

  const ScopedSettings before_;
  const DeviceArray<uint32_t> word_{std::vector<uint32_t>{0}};
  const Stream stream_, other_;
  cudaGraph_t graph_ = nullptr;
  cudaGraphExec_t exec_ = nullptr;
};

TEST_F(GraphMemory, InstantiationAndUploadWaitForAllWorkOfTheDevice) {
  EXPECT_TRUE(waits([&] { return cudaGraphInstantiate(&exec_, graph_); }));
  EXPECT_TRUE(waits([&] { return cudaGraphUpload(exec_, stream_.get()); }));
  EXPECT_FALSE(waits([&] { return cudaGraphUpload(exec_, stream_.get()); })) << "uploaded already";
  EXPECT_FALSE(waits([&] { return cudaGraphLaunch(exec_, stream_.get()); }));
  stream_.wait();
}

TEST_F(GraphMemory, ALaunchUploadsAGraphThatWasNot) {
  ASSERT_EQ(cudaGraphInstantiate(&exec_, graph_), cudaSuccess);
  EXPECT_TRUE(waits([&] { return cudaGraphLaunch(exec_, stream_.get()); }));
  stream_.wait();
}

__global__ void wait_for_peer(const uint32_t* flag) {
  while (threadIdx.x == 0 && cuda::load_acquire_system(flag) != 1) {
  }
}

TEST_F(GraphMemory, AGraphThatIsMadeBesideAWaitingKernelIsNamed) {
  EXPECT_DEATH(
      {
        launch(other_.get(), {}, wait_for_peer, word_.data());
        cudaGraphInstantiate(&exec_, graph_);
      },
      ::testing::AllOf(::testing::HasSubstr("cudaGraphInstantiate waits for all work of device 0"),
                       ::testing::HasSubstr("wait_for_peer of stream 1")));
}

}  // namespace graph_test
}  // namespace trireme::emulation
