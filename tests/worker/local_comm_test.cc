#include "worker/comm/local_comm.h"

#include <gtest/gtest.h>

#include <atomic>
#include <functional>

#include "base/philox.h"
#include "tests/worker/rank_threads.h"
#include "worker/comm/local_group.h"

namespace trireme {
namespace {

std::vector<float> addend(int rank, size_t count) {
  std::vector<float> values(count);
  for (size_t i = 0; i < count; ++i) {
    const auto block = philox4x32({static_cast<uint32_t>(i), static_cast<uint32_t>(rank), 0, 0}, 3);
    values[i] = (static_cast<float>(block[0]) - 2e9f) * (i % 3 == 0 ? 1e-3f : 1e3f);
  }
  return values;
}

// Four ranks, each on a thread with its own Comm.
void run_four(const std::function<void(Comm&, Queue&)>& body) {
  auto comms = LocalComm::make("the test", rank_names(4));
  run_ranks(4, [&](int rank) {
    Queue queue;
    comms[rank]->set_deadline(SteadyClock().now_us() + 20'000'000);
    body(*comms[rank], queue);
    EXPECT_TRUE(comms[rank]->status().ok()) << message_of(comms[rank]->status());
  });
}

TEST(LocalComm, AllReduceAddsByTheBalancedTree) {
  run_four([](Comm& comm, Queue& queue) {
    for (const size_t count : {size_t{0}, size_t{1}, size_t{17}, size_t{100'000}}) {
      std::vector<std::vector<float>> parts;
      for (int rank = 0; rank < 4; ++rank) parts.push_back(addend(rank, count));
      std::vector<float> sum = parts[comm.rank()];
      comm.all_reduce(queue, Tensor(sum.data(), DType::kFloat32, 1, count));
      for (size_t i = 0; i < count; ++i) {
        ASSERT_EQ(sum[i], (parts[0][i] + parts[1][i]) + (parts[2][i] + parts[3][i])) << i;
      }
    }
  });
}

TEST(LocalComm, AllGatherKeepsRankOrder) {
  run_four([](Comm& comm, Queue& queue) {
    const std::array<int32_t, 3> mine = {comm.rank(), 10 * comm.rank(), 7};
    std::vector<int32_t> all(12, -1);
    comm.all_gather(queue, std::as_bytes(std::span(mine)), std::as_writable_bytes(std::span(all)));
    EXPECT_EQ(all, (std::vector<int32_t>{0, 0, 7, 1, 10, 7, 2, 20, 7, 3, 30, 7}));
  });
}

// Rank r sends r + to bytes of value 16 r + to to rank `to`.
TEST(LocalComm, AllToAllDeliversUnequalPieces) {
  run_four([](Comm& comm, Queue& queue) {
    const int self = comm.rank();
    std::vector<std::byte> sent;
    std::vector<int64_t> send_offsets = {0};
    std::vector<int64_t> receive_offsets = {0};
    for (int peer = 0; peer < 4; ++peer) {
      sent.insert(sent.end(), self + peer, std::byte(16 * self + peer));
      send_offsets.push_back(static_cast<int64_t>(sent.size()));
      receive_offsets.push_back(receive_offsets.back() + self + peer);
    }
    std::vector<std::byte> received(receive_offsets.back());
    comm.all_to_all(queue, sent, send_offsets, received, receive_offsets);
    for (int peer = 0; peer < 4; ++peer) {
      for (int64_t i = receive_offsets[peer]; i < receive_offsets[peer + 1]; ++i) {
        EXPECT_EQ(received[i], std::byte(16 * peer + self));
      }
    }
  });
}

TEST(LocalComm, BroadcastReachesEveryRankFromAnyRoot) {
  run_four([](Comm& comm, Queue& queue) {
    for (int root = 0; root < 4; ++root) {
      std::vector<int32_t> values(1000, comm.rank() == root ? 5 + root : 0);
      comm.broadcast(queue, std::as_writable_bytes(std::span(values)), root);
      EXPECT_EQ(values, std::vector<int32_t>(1000, 5 + root));
    }
  });
}

TEST(LocalComm, MessagesOfEqualTagArriveInOrderAndMayBeShorterThanTheirBuffer) {
  run_four([](Comm& comm, Queue& queue) {
    const int next = (comm.rank() + 1) % 4;
    const int previous = (comm.rank() + 3) % 4;
    std::vector<int32_t> first(4, -1);
    std::vector<int32_t> second(3000, -1);
    const Ticket a = comm.receive(queue, std::as_writable_bytes(std::span(first)), previous, 0);
    const Ticket b = comm.receive(queue, std::as_writable_bytes(std::span(second)), previous, 0);
    const std::vector<int32_t> small(2, comm.rank());
    const std::vector<int32_t> large(3000, 100 + comm.rank());
    const Ticket c = comm.send(queue, std::as_bytes(std::span(small)), next, 0);
    const Ticket d = comm.send(queue, std::as_bytes(std::span(large)), next, 0);
    for (const Ticket ticket : {a, b, c, d}) comm.complete(ticket);
    EXPECT_EQ(first, (std::vector<int32_t>{previous, previous, -1, -1}));
    EXPECT_EQ(second, std::vector<int32_t>(3000, 100 + previous));
  });
}

TEST(LocalComm, ACancelledReceiveLeavesTheMessageToTheNextOne) {
  run_four([](Comm& comm, Queue& queue) {
    const int partner = comm.rank() ^ 1;
    int32_t unread = -1;
    int32_t read = -1;
    const auto bytes = [](int32_t& value) {
      return std::as_writable_bytes(std::span<int32_t>(&value, 1));
    };
    comm.cancel(comm.receive(queue, bytes(unread), partner, 3));
    std::vector<int32_t> all(4);  // nobody sends before all have cancelled
    comm.all_gather(queue, bytes(unread), std::as_writable_bytes(std::span(all)));
    const Ticket arriving = comm.receive(queue, bytes(read), partner, 3);
    int32_t sent = 40 + comm.rank();
    comm.complete(comm.send(queue, bytes(sent), partner, 3));
    comm.complete(arriving);
    EXPECT_EQ(unread, -1);
    EXPECT_EQ(read, 40 + partner);
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

TEST(LocalGroup, RanksMeetTheirStageAndTheirColumn) {
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

TEST(LocalGroup, IsNotMixedWithRanksOfTheLauncher) {
  EXPECT_TRUE(check_local_ranks(2, 2, 4, 1).ok());
  EXPECT_TRUE(check_local_ranks(2, 2, 1, 4).ok());
  EXPECT_EQ(error_id(check_local_ranks(2, 2, 2, 2)), "TRI-GRP-029");
  EXPECT_EQ(error_id(check_local_ranks(2, 2, 2, 1)), "TRI-GRP-029");
}

}  // namespace
}  // namespace trireme
