#include "worker/comm/local_comm.h"

#include <gtest/gtest.h>

#include "tests/worker/comm_cases.h"
#include "tests/worker/rank_threads.h"
#include "worker/comm/local_group.h"

namespace trireme {
namespace {

class LocalCommOfFour : public testing::TestWithParam<CommCase> {};
INSTANTIATE_TEST_SUITE_P(, LocalCommOfFour, testing::ValuesIn(comm_cases()), [](const auto& info) {
  return info.param.name;
});

// Four ranks, each on a thread with its own Comm.
TEST_P(LocalCommOfFour, Keeps) {
  auto comms = LocalComm::make("the test", rank_names(4));
  run_ranks(4, [&](int rank) {
    Queue queue;
    comms[rank]->set_deadline(SteadyClock().now_us() + 20'000'000);
    GetParam().run(*comms[rank], queue);
    EXPECT_TRUE(comms[rank]->status().ok()) << message_of(comms[rank]->status());
  });
}

TEST(LocalComm, APeerThatNeverAnswersIsNamedAtTheDeadline) {
  auto comms = LocalComm::make("the test", rank_names(2));
  Queue queue;
  float value = 1;
  comms[0]->set_deadline(SteadyClock().now_us() + 50'000);
  comms[0]->all_reduce(queue, Tensor(&value, DType::kFloat32, 1, 1));
  EXPECT_EQ(error_id(comms[0]->status()), "TRI-GRP-005");
  const std::string message = message_of(comms[0]->status());
  EXPECT_NE(message.find("the test: all_reduce with rank 1 here"), std::string::npos) << message;
  comms[0]->all_reduce(queue, Tensor(&value, DType::kFloat32, 1, 1));  // does nothing, at once
  EXPECT_EQ(value, 1);
}

TEST(LocalComm, APeerThatHasEndedIsNamedAtOnce) {
  auto comms = LocalComm::make("the test", rank_names(2));
  comms[0]->set_deadline(SteadyClock().now_us() + 20'000'000);
  run_ranks(2, [&](int rank) {
    Queue queue;
    float value = 1;
    if (rank == 1) {
      comms[1].reset();
      return;
    }
    comms[0]->all_reduce(queue, Tensor(&value, DType::kFloat32, 1, 1));
    EXPECT_EQ(error_id(comms[0]->status()), "TRI-GRP-004");
  });
}

TEST(LocalGroup, RanksAreConnectedByStageAndByTensorIndex) {
  auto group = make_local_group(2, 3, "here");
  run_ranks(6, [&](int rank) {
    GroupComms& comms = *group[rank];
    Queue queue;
    EXPECT_EQ(comms.rank, rank);
    EXPECT_EQ(comms.stage, rank / 2);
    EXPECT_EQ(comms.tensor->rank(), rank % 2);
    EXPECT_EQ(comms.pipeline->rank(), rank / 2);
    const auto met = [&](Comm& comm) {
      std::vector<int32_t> all(comm.size());
      const auto own = std::as_bytes(std::span<const int32_t>(&rank, 1));
      comm.all_gather(queue, own, std::as_writable_bytes(std::span(all)));
      return all;
    };
    const int first = rank / 2 * 2;
    EXPECT_EQ(met(*comms.group), (std::vector<int32_t>{0, 1, 2, 3, 4, 5}));
    EXPECT_EQ(met(*comms.tensor), (std::vector<int32_t>{first, first + 1}));
    EXPECT_EQ(met(*comms.pipeline), (std::vector<int32_t>{rank % 2, 2 + rank % 2, 4 + rank % 2}));
    EXPECT_EQ(met(*comms.tokens), met(*comms.pipeline));
  });
}

TEST(LocalGroup, IsNotCombinedWithRanksOfTheLauncher) {
  EXPECT_TRUE(check_local_ranks(2, 2, 4, 1).ok());
  EXPECT_TRUE(check_local_ranks(2, 2, 0, 4).ok());
  EXPECT_TRUE(check_local_ranks(1, 1, 1, 1).ok());
  EXPECT_EQ(error_id(check_local_ranks(2, 2, 2, 2)), "TRI-GRP-029");
  EXPECT_EQ(error_id(check_local_ranks(2, 2, 2, 1)), "TRI-GRP-029");
  EXPECT_EQ(error_id(check_local_ranks(1, 2, 1, 2)), "TRI-GRP-029");
}

}  // namespace
}  // namespace trireme
