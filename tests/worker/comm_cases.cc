#include "tests/worker/comm_cases.h"

#include <gtest/gtest.h>

#include <array>

#include "base/philox.h"

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

void all_reduce_adds_by_the_balanced_tree(Comm& comm, Queue& queue) {
  for (const size_t count : {size_t{0}, size_t{1}, size_t{17}, size_t{100'000}}) {
    std::vector<std::vector<float>> parts;
    for (int rank = 0; rank < 4; ++rank) parts.push_back(addend(rank, count));
    std::vector<float> sum = parts[comm.rank()];
    comm.all_reduce(queue, Tensor(sum.data(), DType::kFloat32, 1, count));
    for (size_t i = 0; i < count; ++i) {
      ASSERT_EQ(sum[i], (parts[0][i] + parts[1][i]) + (parts[2][i] + parts[3][i])) << i;
    }
  }
}

void all_gather_keeps_rank_order(Comm& comm, Queue& queue) {
  const std::array<int32_t, 3> mine = {comm.rank(), 10 * comm.rank(), 7};
  std::vector<int32_t> all(12, -1);
  comm.all_gather(queue, std::as_bytes(std::span(mine)), std::as_writable_bytes(std::span(all)));
  EXPECT_EQ(all, (std::vector<int32_t>{0, 0, 7, 1, 10, 7, 2, 20, 7, 3, 30, 7}));
}

// Rank r sends r + to bytes of value 16 r + to to rank `to`.
void all_to_all_delivers_unequal_pieces(Comm& comm, Queue& queue) {
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
}

void broadcast_reaches_every_rank_from_any_root(Comm& comm, Queue& queue) {
  for (int root = 0; root < 4; ++root) {
    std::vector<int32_t> values(1000, comm.rank() == root ? 5 + root : 0);
    comm.broadcast(queue, std::as_writable_bytes(std::span(values)), root);
    EXPECT_EQ(values, std::vector<int32_t>(1000, 5 + root));
  }
}

// The second message is longer than MPI's eager limit.
void messages_of_equal_tag_arrive_in_order(Comm& comm, Queue& queue) {
  constexpr size_t kMany = 300'000;
  const int next = (comm.rank() + 1) % 4;
  const int previous = (comm.rank() + 3) % 4;
  std::vector<int32_t> first(4, -1);  // longer than its message
  std::vector<int32_t> second(kMany, -1);
  const Ticket a = comm.receive(queue, std::as_writable_bytes(std::span(first)), previous, 0);
  const Ticket b = comm.receive(queue, std::as_writable_bytes(std::span(second)), previous, 0);
  const std::vector<int32_t> small(2, comm.rank());
  const std::vector<int32_t> large(kMany, 100 + comm.rank());
  const Ticket c = comm.send(queue, std::as_bytes(std::span(small)), next, 0);
  const Ticket d = comm.send(queue, std::as_bytes(std::span(large)), next, 0);
  for (const Ticket ticket : {a, b, c, d}) comm.complete(ticket);
  EXPECT_EQ(first, (std::vector<int32_t>{previous, previous, -1, -1}));
  EXPECT_EQ(second, std::vector<int32_t>(kMany, 100 + previous));
}

void a_cancelled_receive_leaves_the_message_to_the_next_one(Comm& comm, Queue& queue) {
  const int partner = comm.rank() ^ 1;
  int32_t unread = -1;
  int32_t read = -1;
  const auto bytes = [](int32_t& value) {
    return std::as_writable_bytes(std::span<int32_t>(&value, 1));
  };
  comm.cancel(comm.receive(queue, bytes(unread), partner, 3));
  std::vector<int32_t> all(4);  // barrier: no rank sends before all have cancelled
  comm.all_gather(queue, bytes(unread), std::as_writable_bytes(std::span(all)));
  const Ticket arriving = comm.receive(queue, bytes(read), partner, 3);
  int32_t sent = 40 + comm.rank();
  comm.complete(comm.send(queue, bytes(sent), partner, 3));
  comm.complete(arriving);
  EXPECT_EQ(unread, -1);
  EXPECT_EQ(read, 40 + partner);
}

}  // namespace

const std::vector<CommCase>& comm_cases() {
  static const std::vector<CommCase> cases = {
      {"AllReduceAddsByTheBalancedTree", all_reduce_adds_by_the_balanced_tree},
      {"AllGatherKeepsRankOrder", all_gather_keeps_rank_order},
      {"AllToAllDeliversUnequalPieces", all_to_all_delivers_unequal_pieces},
      {"BroadcastReachesEveryRankFromAnyRoot", broadcast_reaches_every_rank_from_any_root},
      {"MessagesOfEqualTagArriveInOrderAndMayBeShorterThanTheirBuffer",
       messages_of_equal_tag_arrive_in_order},
      {"ACancelledReceiveLeavesTheMessageToTheNextOne",
       a_cancelled_receive_leaves_the_message_to_the_next_one},
  };
  return cases;
}

}  // namespace trireme
