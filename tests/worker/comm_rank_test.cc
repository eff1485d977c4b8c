// Comm over MPI, on four ranks: every rank runs the same tests.
#include <gtest/gtest.h>

#include "tests/cluster/ranked_worker.h"
#include "tests/worker/comm_cases.h"
#include "worker/comm/solo_comm.h"

namespace trireme {
namespace {

class CommOfFour : public testing::TestWithParam<CommCase> {
 protected:
  CommOfFour() : comm_(*test_world().group({4, 1})->tensor) {
    comm_.set_deadline(SteadyClock().now_us() + 20'000'000);
  }
  ~CommOfFour() override { EXPECT_TRUE(comm_.status().ok()) << message_of(comm_.status()); }

  Comm& comm_;
  Queue queue_;
};

INSTANTIATE_TEST_SUITE_P(, CommOfFour, testing::ValuesIn(comm_cases()), [](const auto& info) {
  return info.param.name;
});

TEST_P(CommOfFour, Keeps) { GetParam().run(comm_, queue_); }

// Uses its own communicator, which a late peer leaves unusable.
TEST(MpiComm, APeerThatNeverAnswersIsNamedAtTheDeadline) {
  Comm& pair = *test_world().group({2, 2})->tensor;
  Queue queue;
  if (pair.rank() == 1) return;
  float value = 1;
  pair.set_deadline(SteadyClock().now_us() + 100'000);
  pair.all_reduce(queue, Tensor(&value, DType::kFloat32, 1, 1));
  EXPECT_EQ(error_id(pair.status()), "TRI-GRP-005");
  const std::string peer = format_text("rank {} on ", test_world().rank() + 1);
  EXPECT_NE(message_of(pair.status()).find(peer), std::string::npos) << message_of(pair.status());
  pair.all_reduce(queue, Tensor(&value, DType::kFloat32, 1, 1));  // does nothing, at once
  EXPECT_EQ(value, 1);
}

TEST(SoloComm, LeavesSumsAndCopiesPieces) {
  SoloComm comm;
  Queue queue;
  std::vector<int32_t> from = {1, 2, 3};
  std::vector<int32_t> to(3);
  comm.all_gather(queue, std::as_bytes(std::span(from)), std::as_writable_bytes(std::span(to)));
  EXPECT_EQ(to, from);
  const std::vector<int64_t> offsets = {0, 8};
  std::vector<int32_t> part(2);
  comm.all_to_all(queue,
                  std::as_bytes(std::span(from)),
                  offsets,
                  std::as_writable_bytes(std::span(part)),
                  offsets);
  EXPECT_EQ(part, (std::vector<int32_t>{1, 2}));
}

}  // namespace
}  // namespace trireme

int main(int argc, char** argv) { return trireme::run_rank_tests(argc, argv); }
