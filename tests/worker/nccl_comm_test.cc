// NcclComm over a library of the test's own (fake_nccl/): blocking communicators, bounded calls and
// the probe of a capture. Ranks are threads, each with an emulated device.
#include "worker/comm/nccl_comm.h"

#include <gtest/gtest.h>

#include <functional>

#include "tests/worker/emulated_rank.h"
#include "tests/worker/fake_nccl/fake_nccl.h"
#include "tests/worker/rank_threads.h"
#include "worker/comm/local_comm.h"

namespace trireme {
namespace {

constexpr int kRanks = 2;

NcclCommOptions options() {
  NcclCommOptions options;
  options.name = "the test";
  options.peers = rank_names(kRanks);
  options.is_captured = true;
  return options;
}

// Makes a communicator on every rank and calls `body`; returns the ids of the ranks' answers.
std::vector<std::string> run(const NcclCommOptions& options,
                             const std::function<void(Comm&, int rank)>& body) {
  auto controls = LocalComm::make("the control", rank_names(kRanks));
  std::vector<std::string> ids(kRanks);
  run_ranks(kRanks, [&](int rank) {
    ASSERT_EQ(cudaSetDevice(rank), cudaSuccess);
    Buffer scratch = device_buffer(nccl_scratch_bytes(options, kRanks));
    const auto made = make_nccl_comm(options, std::move(scratch), *controls[rank]);
    ids[rank] = error_id(made.status());
    if (made.ok() && body) body(**made, rank);
  });
  return ids;
}

TEST(NcclComm, IsBlockingAndAddsOverTheRanks) {
  const auto ids = run(options(), [](Comm& comm, int rank) {
    const auto queue = device_queue();
    const Buffer data = device_buffer(40);
    upload(data, std::vector<float>(10, 1.5f + static_cast<float>(rank)));
    comm.all_reduce(*queue, data.as(DType::kFloat32, 1, 10));
    EXPECT_EQ(cudaStreamSynchronize(queue->stream()), cudaSuccess);
    EXPECT_EQ(download<float>(data, 10), std::vector<float>(10, 4.0f));
    EXPECT_TRUE(comm.status().ok());
  });
  EXPECT_EQ(ids, std::vector<std::string>(kRanks, ""));
  EXPECT_EQ(fake_nccl().non_blocking_comms, 0);
}

TEST(NcclComm, ALibraryThatCannotBeCapturedIsRefused) {
  fake_nccl().refuses_captures = true;
  EXPECT_EQ(run(options(), {}), std::vector<std::string>(kRanks, "TRI-CUDA-023"));
  NcclCommOptions uncaptured = options();
  uncaptured.is_captured = false;
  EXPECT_EQ(run(uncaptured, {}), std::vector<std::string>(kRanks, ""));
  fake_nccl().refuses_captures = false;
}

// In processes of their own: the threads of the calls never end.
class NcclCommHangs : public testing::Test {
 protected:
  void SetUp() override { GTEST_FLAG_SET(death_test_style, "threadsafe"); }
};

TEST_F(NcclCommHangs, ASetUpThatDoesNotReturnIsNamed) {
  const auto start = [] {
    fake_nccl().init_hangs = true;
    NcclCommOptions limited = options();
    limited.setup_limit_us = 100'000;
    const auto ids = run(limited, {});
    std::fprintf(stderr, "%s %s\n", ids[0].c_str(), ids[1].c_str());
    std::_Exit(4);
  };
  EXPECT_EXIT(start(), testing::ExitedWithCode(4), "TRI-CUDA-015 TRI-CUDA-015");
}

TEST_F(NcclCommHangs, ACallThatDoesNotReturnEndsTheProcess) {
  const auto start = [] {
    fake_nccl().sums_hang = true;
    NcclCommOptions limited = options();
    limited.call_limit_us = 100'000;
    run(limited, {});
  };
  EXPECT_EXIT(start(), testing::ExitedWithCode(3), "TRI-CUDA-013: the test: NCCL did not return");
}

}  // namespace
}  // namespace trireme
