// Comm over MPI, on four ranks: every rank runs the same tests.
#include <gtest/gtest.h>

#include <numeric>

#include "base/philox.h"
#include "tests/cluster/ranked_worker.h"
#include "worker/comm/solo_comm.h"

namespace trireme {
namespace {

class NoQueue final : public Queue {};

std::vector<float> addend(int rank, size_t count) {
  std::vector<float> values(count);
  for (size_t i = 0; i < count; ++i) {
    const auto block = philox4x32({static_cast<uint32_t>(i), static_cast<uint32_t>(rank), 0, 0}, 3);
    values[i] = (static_cast<float>(block[0]) - 2e9f) * (i % 3 == 0 ? 1e-3f : 1e3f);
  }
  return values;
}

class CommOfFour : public testing::Test {
 protected:
  CommOfFour() : comms_(*test_world().group({4, 1})), comm_(*comms_.tensor) {
    comm_.set_deadline(SteadyClock().now_us() + 20'000'000);
  }
  ~CommOfFour() override { EXPECT_TRUE(comm_.status().ok()) << message_of(comm_.status()); }

  GroupComms& comms_;
  Comm& comm_;
  NoQueue queue_;
};

TEST_F(CommOfFour, AllReduceAddsByTheBalancedTree) {
  for (const size_t count : {size_t{1}, size_t{17}, size_t{100'000}}) {
    std::vector<std::vector<float>> parts;
    for (int rank = 0; rank < 4; ++rank) parts.push_back(addend(rank, count));
    std::vector<float> sum = parts[comm_.rank()];
    comm_.all_reduce(queue_, Tensor(sum.data(), DType::kFloat32, 1, count));
    for (size_t i = 0; i < count; ++i) {
      const float left = parts[0][i] + parts[1][i];
      const float right = parts[2][i] + parts[3][i];
      ASSERT_EQ(sum[i], left + right) << i;
    }
  }
}

TEST_F(CommOfFour, AllGatherKeepsRankOrder) {
  const std::array<int32_t, 3> mine = {comm_.rank(), 10 * comm_.rank(), 7};
  std::vector<int32_t> all(12, -1);
  comm_.all_gather(queue_, std::as_bytes(std::span(mine)), std::as_writable_bytes(std::span(all)));
  EXPECT_EQ(all, (std::vector<int32_t>{0, 0, 7, 1, 10, 7, 2, 20, 7, 3, 30, 7}));
}

// Rank r sends r + to bytes of value 16 r + to to rank `to`.
TEST_F(CommOfFour, AllToAllDeliversUnequalPieces) {
  const int self = comm_.rank();
  std::vector<std::byte> sent;
  std::vector<int64_t> send_offsets = {0};
  std::vector<int64_t> receive_offsets = {0};
  for (int peer = 0; peer < 4; ++peer) {
    sent.insert(sent.end(), self + peer, std::byte(16 * self + peer));
    send_offsets.push_back(static_cast<int64_t>(sent.size()));
    receive_offsets.push_back(receive_offsets.back() + self + peer);
  }
  std::vector<std::byte> received(receive_offsets.back());
  comm_.all_to_all(queue_, sent, send_offsets, received, receive_offsets);
  for (int peer = 0; peer < 4; ++peer) {
    for (int64_t i = receive_offsets[peer]; i < receive_offsets[peer + 1]; ++i) {
      EXPECT_EQ(received[i], std::byte(16 * peer + self));
    }
  }
}

TEST_F(CommOfFour, BroadcastReachesEveryRankFromAnyRoot) {
  for (int root = 0; root < 4; ++root) {
    std::vector<int32_t> values(1000, comm_.rank() == root ? 5 + root : 0);
    comm_.broadcast(queue_, std::as_writable_bytes(std::span(values)), root);
    EXPECT_EQ(values, std::vector<int32_t>(1000, 5 + root));
  }
}

TEST_F(CommOfFour, MessagesOfEqualTagArriveInOrderAndMayBeShorterThanTheirBuffer) {
  const int next = (comm_.rank() + 1) % 4;
  const int previous = (comm_.rank() + 3) % 4;
  std::vector<int32_t> first(4, -1);
  std::vector<int32_t> second(300'000, -1);
  const Ticket a = comm_.receive(queue_, std::as_writable_bytes(std::span(first)), previous, 0);
  const Ticket b = comm_.receive(queue_, std::as_writable_bytes(std::span(second)), previous, 0);
  const std::vector<int32_t> small(2, comm_.rank());
  const std::vector<int32_t> large(300'000, 100 + comm_.rank());
  const Ticket c = comm_.send(queue_, std::as_bytes(std::span(small)), next, 0);
  const Ticket d = comm_.send(queue_, std::as_bytes(std::span(large)), next, 0);
  for (const Ticket ticket : {a, b, c, d}) comm_.complete(ticket);
  EXPECT_EQ(first, (std::vector<int32_t>{previous, previous, -1, -1}));
  EXPECT_EQ(second, std::vector<int32_t>(300'000, 100 + previous));
}

TEST_F(CommOfFour, ACancelledReceiveLeavesTheMessageToTheNextOne) {
  const int partner = comm_.rank() ^ 1;
  int32_t unread = -1;
  int32_t read = -1;
  const auto bytes = [](int32_t& value) {
    return std::as_writable_bytes(std::span<int32_t>(&value, 1));
  };
  comm_.cancel(comm_.receive(queue_, bytes(unread), partner, 3));
  std::vector<int32_t> all(4);  // nobody sends before all have cancelled
  comm_.all_gather(queue_, bytes(unread), std::as_writable_bytes(std::span(all)));
  const Ticket arriving = comm_.receive(queue_, bytes(read), partner, 3);
  int32_t sent = 40 + comm_.rank();
  comm_.complete(comm_.send(queue_, bytes(sent), partner, 3));
  comm_.complete(arriving);
  EXPECT_EQ(unread, -1);
  EXPECT_EQ(read, 40 + partner);
}

// A communicator of its own, because a late peer spoils it.
TEST_F(CommOfFour, APeerThatNeverAnswersIsNamedAtTheDeadline) {
  Comm& pair = *test_world().group({2, 2})->tensor;
  if (pair.rank() == 1) return;
  float value = 1;
  pair.set_deadline(SteadyClock().now_us() + 100'000);
  pair.all_reduce(queue_, Tensor(&value, DType::kFloat32, 1, 1));
  EXPECT_EQ(error_id(pair.status()), "TRI-GRP-005");
  const std::string peer = concat("rank ", test_world().rank() + 1, " on ");
  EXPECT_NE(message_of(pair.status()).find(peer), std::string::npos) << message_of(pair.status());
  pair.all_reduce(queue_, Tensor(&value, DType::kFloat32, 1, 1));  // does nothing, at once
  EXPECT_EQ(value, 1);
}

TEST(SoloComm, LeavesSumsAndCopiesPieces) {
  SoloComm comm;
  NoQueue queue;
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
