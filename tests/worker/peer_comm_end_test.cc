// Deadlines, failures and destruction of a PeerComm: a late peer is named, and destruction never
// waits for a dead one.
#include <gtest/gtest.h>

#include <functional>
#include <mutex>

#include "kernels/emulation/control.h"
#include "tests/worker/peer_ranks.h"

namespace trireme {
namespace peer_comm_end_test {

// The error of rank 0 after the deadline; the other ranks enqueue nothing.
std::string named(const PeerCommOptions& options,
                  int size,
                  const std::function<void(PeerRank&)>& enqueue) {
  std::string message;
  run_peers(size, options, [&](PeerRank& rank) {
    if (rank.self() != 0) return;
    rank.comm.set_deadline(SteadyClock().now_us() + 100'000);
    enqueue(rank);
    while (rank.comm.status().ok()) rank.comm.poll();
    rank.wait();  // nothing waits any more
    EXPECT_EQ(error_id(rank.comm.status()), "TRI-CUDA-013");
    message = message_of(rank.comm.status());
    enqueue(rank);  // does nothing
    rank.wait();
  });
  return message;
}

void reduce_four(PeerRank& rank) {
  const Buffer data = device_buffer(16);
  rank.comm.all_reduce(rank.queue, data.as(DType::kFloat32, 1, 4));
  rank.comm.poll();
  while (rank.comm.status().ok()) rank.comm.poll();
  rank.wait();
}

TEST(PeerComm, APeerThatDoesNotReduceIsNamedAtTheDeadline) {
  const std::string message = named(small_options(2), 2, reduce_four);
  EXPECT_NE(message.find("the test: all_reduce with rank 1 here"), std::string::npos) << message;
}

TEST(PeerComm, AWaitInAKernelEndsByItsOwnLimit) {
  PeerCommOptions options = small_options(2);
  options.wait_limit_us = 50'000;
  run_peers(2, options, [&](PeerRank& rank) {
    if (rank.self() != 0) return;
    const Buffer data = device_buffer(16);
    for (int i = 0; i < 3; ++i) {
      rank.comm.all_reduce(rank.queue, data.as(DType::kFloat32, 1, 4));
    }
    rank.wait();
    const std::string message = message_of(rank.comm.status());
    EXPECT_NE(message.find("all_reduce with rank 1 here"), std::string::npos) << message;
  });
}

TEST(PeerComm, APeerThatDoesNotSendIsNamedAtTheDeadline) {
  PeerCommOptions options = small_options(3);
  options.messages = PeerMessages::kLastToFirst;
  options.reduce_bytes = 0;
  const Buffer data = device_buffer(64);
  const std::string message = named(options, 3, [&](PeerRank& rank) {
    rank.comm.receive(rank.queue, std::span(data.data(), 64), 2, 0);
  });
  EXPECT_NE(message.find("the test: receive with rank 2 here"), std::string::npos) << message;
}

TEST(PeerComm, APeerThatDoesNotTakeItsMessagesIsNamedAtTheDeadline) {
  PeerCommOptions options = small_options(2);
  options.messages = PeerMessages::kToNext;
  options.reduce_bytes = 0;
  const Buffer data = device_buffer(64);
  const std::string message = named(options, 2, [&](PeerRank& rank) {
    for (int i = 0; i < 5; ++i) {
      rank.comm.send(rank.queue, std::span<const std::byte>(data.data(), 64), 1, 0);
    }
  });
  EXPECT_NE(message.find("the test: send with rank 1 here"), std::string::npos) << message;
}

TEST(PeerComm, AnIdleQueuePastTheDeadlineIsNoFailure) {
  run_peers(2, small_options(2), [](PeerRank& rank) {
    expect_sum<Fp32>(rank, 100);
    rank.comm.set_deadline(SteadyClock().now_us() - 1);
    rank.comm.poll();
    EXPECT_TRUE(rank.comm.status().ok()) << message_of(rank.comm.status());
  });
}

// The emulation aborts if memory is freed while another process has it open.
TEST(PeerComm, ProcessesFreeTheirMemoryOnceAllPeersHaveClosedIt) {
  PeerCommOptions options = small_options(8);
  options.process = 100;
  for (int round = 0; round < 5; ++round) {
    emulation::start_call_trace();
    run_peers(8, options, [](PeerRank& rank) { expect_sum<Fp32>(rank, 9); });
    const auto calls = emulation::stop_call_trace();
    EXPECT_EQ(
        std::ranges::count(calls, std::string("cudaIpcCloseMemHandle"), &emulation::Call::name),
        8 * 7);
  }
}

TEST(PeerComm, ADestroyedQueueIsNotLate) {
  run_peers(2, small_options(2), [](PeerRank& rank) {
    const Buffer data = device_buffer(16);
    rank.comm.all_reduce(*device_queue(), data.as(DType::kFloat32, 1, 4));
    rank.comm.set_deadline(SteadyClock().now_us() - 1);
    rank.comm.poll();
    EXPECT_TRUE(rank.comm.status().ok()) << message_of(rank.comm.status());
  });
}

// Nothing has polled past the deadline; rank 1 neither sends nor reaches the barrier.
TEST(PeerComm, DestructionDoesNotWaitForAMessageOfADeadPeer) {
  auto controls = LocalComm::make("the control", rank_names(2));
  std::vector<std::unique_ptr<cuda::CudaQueue>> sides(2);
  std::vector<std::unique_ptr<PeerComm>> comms(2);
  run_ranks(2, [&](int rank) {
    ASSERT_EQ(cudaSetDevice(rank), cudaSuccess);
    sides[rank] = device_queue();
    PeerCommOptions options = small_options(2);
    options.side = sides[rank].get();
    auto made = PeerComm::make(options,
                               device_buffer(PeerComm::arena_bytes(options, rank, 2)),
                               shared_buffer(PeerComm::shared_bytes(2)),
                               std::move(controls[rank]));
    ASSERT_TRUE(made.ok()) << message_of(made.status());
    comms[rank] = std::move(made).value();
  });
  ASSERT_EQ(cudaSetDevice(0), cudaSuccess);
  const auto queue = device_queue();
  const Buffer data = device_buffer(64);
  comms[0]->receive(*queue, std::span(data.data(), 64), 1, 0);
  comms[0].reset();
  EXPECT_EQ(cudaStreamSynchronize(queue->stream()), cudaSuccess);
}

TEST(PeerComm, MemoryWithoutPeerAccessIsNamedOnEveryRank) {
  auto controls = LocalComm::make("the control", rank_names(2));
  emulation::fail_call("cudaDeviceEnablePeerAccess", cudaErrorNotSupported);
  std::mutex mutex;
  std::vector<std::string> messages;
  run_ranks(2, [&](int rank) {
    ASSERT_EQ(cudaSetDevice(rank), cudaSuccess);
    const auto side = device_queue();
    PeerCommOptions options = small_options(2);
    options.side = side.get();
    const auto made = PeerComm::make(options,
                                     device_buffer(PeerComm::arena_bytes(options, rank, 2)),
                                     shared_buffer(PeerComm::shared_bytes(2)),
                                     std::move(controls[rank]));
    const std::lock_guard lock(mutex);
    messages.push_back(message_of(made.status()));
  });
  ASSERT_EQ(messages.size(), 2u);
  std::ranges::sort(messages);  // of the rank that fails, and of the one that is notified
  EXPECT_EQ(messages[0].find("TRI-CUDA-012: rank "), 0u) << messages[0];
  EXPECT_NE(messages[0].find(" cannot see the memory of rank "), std::string::npos) << messages[0];
  EXPECT_EQ(messages[1].find("TRI-CUDA-016: rank "), 0u) << messages[1];
}

}  // namespace peer_comm_end_test
}  // namespace trireme
