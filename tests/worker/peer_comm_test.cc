// Comm over peer memory: ranks are threads, each with an emulated device of its own.
#include "worker/comm/peer_comm.h"

#include <gtest/gtest.h>

#include <functional>
#include <mutex>

#include "base/dtype.h"
#include "base/philox.h"
#include "kernels/cuda/peer_reduce.h"
#include "kernels/emulation/control.h"
#include "tests/worker/emulated_rank.h"
#include "tests/worker/rank_threads.h"
#include "worker/comm/local_comm.h"

namespace trireme {
namespace {

constexpr TimeUs kPatienceUs = 60'000'000;

struct Rank {
  PeerComm& comm;
  cuda::CudaQueue& queue;

  int self() const { return comm.rank(); }
  void wait() const { EXPECT_EQ(cudaStreamSynchronize(queue.stream()), cudaSuccess); }
};

PeerCommOptions small_options(int size) {
  PeerCommOptions options;
  options.name = "the test";
  options.peers = rank_names(size);
  options.reduce_bytes = 64 << 10;
  options.messages = PeerMessages::kAll;
  options.message_bytes = 4096;
  options.max_blocks = 4;
  return options;
}

// Runs `body` on every rank; where options.process is given, as processes of the numbers from it
// on.
void run_peers(int size, PeerCommOptions options, const std::function<void(Rank&)>& body) {
  auto controls = LocalComm::make("the control", rank_names(size));
  std::vector<std::unique_ptr<PeerComm>> comms(size);
  const bool are_processes = options.process != 0;
  run_ranks(size, [&, options](int rank) mutable {
    ASSERT_EQ(cudaSetDevice(rank), cudaSuccess);
    if (are_processes) options.process += rank;
    auto made = PeerComm::make(options,
                               device_buffer(PeerComm::arena_bytes(options, rank, size)),
                               shared_buffer(PeerComm::shared_bytes(size)),
                               std::move(controls[rank]));
    ASSERT_TRUE(made.ok()) << message_of(made.status());
    comms[rank] = std::move(made).value();
    comms[rank]->set_deadline(SteadyClock().now_us() + kPatienceUs);
    const auto queue = device_queue();
    Rank here{*comms[rank], *queue};
    body(here);
  });
  // All together, as ranks end; memory of the others is in use until then.
  run_ranks(size, [&](int rank) {
    ASSERT_EQ(cudaSetDevice(rank), cudaSuccess);
    comms[rank].reset();
  });
}

float random_value(int rank, size_t i) {
  const auto block = philox4x32({static_cast<uint32_t>(i), static_cast<uint32_t>(rank), 0, 0}, 3);
  return (static_cast<float>(block[0]) - 2e9f) * (i % 3 == 0 ? 1e-8f : 1e-6f);
}

struct Fp32 {
  using T = float;
  static constexpr DType kDType = DType::kFloat32;
  static float narrow(float value) { return value; }
  static float widen(float value) { return value; }
};
struct Bf16 {
  using T = bf16_t;
  static constexpr DType kDType = DType::kBFloat16;
  static bf16_t narrow(float value) { return float_to_bf16(value); }
  static float widen(bf16_t value) { return bf16_to_float(value); }
};
struct Fp16 {
  using T = fp16_t;
  static constexpr DType kDType = DType::kFloat16;
  static fp16_t narrow(float value) { return float_to_fp16(value); }
  static float widen(fp16_t value) { return fp16_to_float(value); }
};

// Adds `count` values of each rank, `times` times over, and compares with the sum in rank order.
template <class E>
void expect_sum(Rank& rank, size_t count) {
  using T = typename E::T;
  constexpr size_t kGuard = 8;
  std::vector<T> values(count + kGuard, E::narrow(-77));
  for (size_t i = 0; i < count; ++i) values[i] = E::narrow(random_value(rank.self(), i));
  const Buffer data = device_buffer(static_cast<int64_t>(values.size() * sizeof(T)));
  upload(data, values);
  rank.comm.all_reduce(rank.queue, data.as(E::kDType, 1, static_cast<int64_t>(count)));
  rank.wait();
  const std::vector<T> got = download<T>(data, values.size());
  for (size_t i = 0; i < count; ++i) {
    float sum = E::widen(E::narrow(random_value(0, i)));
    for (int peer = 1; peer < rank.comm.size(); ++peer) {
      sum += E::widen(E::narrow(random_value(peer, i)));
    }
    ASSERT_EQ(got[i], E::narrow(sum)) << "element " << i << " of " << count;
  }
  for (size_t i = count; i < values.size(); ++i) ASSERT_EQ(got[i], E::narrow(-77)) << "guard";
}

class PeerCommOf : public testing::TestWithParam<int> {};
INSTANTIATE_TEST_SUITE_P(Ranks, PeerCommOf, testing::Values(2, 3, 4, 8), [](const auto& info) {
  return std::to_string(info.param);
});

TEST_P(PeerCommOf, AllReduceAddsInRankOrderWhateverTheSize) {
  run_peers(GetParam(), small_options(GetParam()), [](Rank& rank) {
    for (const size_t count : {1, 3, 7, 8, 9, 17, 129, 4096, 5001, 20'000, 50'001}) {
      expect_sum<Fp32>(rank, count);
      expect_sum<Bf16>(rank, count);
      expect_sum<Fp16>(rank, count);
    }
  });
}

// Pieces of the size that is used, so that both ways and several pieces occur.
TEST(PeerComm, AllReduceOfMegabytesAddsInRankOrder) {
  PeerCommOptions options = small_options(4);
  options.reduce_bytes = 1 << 20;
  run_peers(4, options, [](Rank& rank) {
    expect_sum<Bf16>(rank, (256 << 10) / 2);
    expect_sum<Bf16>(rank, (256 << 10) / 2 + 1);
    expect_sum<Bf16>(rank, (3 << 20) / 2 - 5);
    expect_sum<Fp32>(rank, (1 << 20) / 4 + 3);
  });
}

TEST_P(PeerCommOf, AllGatherAndBroadcastKeepBytesAsTheyAre) {
  const int size = GetParam();
  run_peers(size, small_options(size), [&](Rank& rank) {
    const auto byte_of = [](int from, size_t i) {
      return static_cast<uint8_t>(31 * from + 7 * i + 1);
    };
    for (const size_t count : {size_t{1}, size_t{12}, size_t{17}, size_t{4096}, size_t{70'004}}) {
      const Buffer local = device_buffer(count);
      const Buffer all = device_buffer(size * count + 1);
      std::vector<uint8_t> mine(count);
      for (size_t i = 0; i < count; ++i) mine[i] = byte_of(rank.self(), i);
      upload(local, mine);
      rank.comm.all_gather(rank.queue,
                           std::span<const std::byte>(local.data(), count),
                           std::span(all.data(), size * count));
      const int root = static_cast<int>(count) % size;
      rank.comm.broadcast(rank.queue, std::span(local.data(), count), root);
      rank.wait();
      const std::vector<uint8_t> gathered = download<uint8_t>(all, size * count + 1);
      for (size_t i = 0; i < size * count; ++i) {
        ASSERT_EQ(gathered[i], byte_of(static_cast<int>(i / count), i % count)) << i;
      }
      EXPECT_EQ(gathered.back(), 0);
      const std::vector<uint8_t> sent = download<uint8_t>(local, count);
      for (size_t i = 0; i < count; ++i) ASSERT_EQ(sent[i], byte_of(root, i)) << i;
    }
  });
}

// Rank r sends 1000 r + 3000 to bytes of value 16 r + to to rank `to`: some in several pieces.
TEST_P(PeerCommOf, AllToAllDeliversUnequalPieces) {
  const int size = GetParam();
  run_peers(size, small_options(size), [&](Rank& rank) {
    const auto bytes_of = [](int from, int to) {
      return from == to + 1 ? 0 : 1000 * from + 3000 * to;
    };
    const int self = rank.self();
    std::vector<uint8_t> sent;
    std::vector<int64_t> send_offsets = {0};
    std::vector<int64_t> receive_offsets = {0};
    for (int peer = 0; peer < size; ++peer) {
      sent.insert(sent.end(), bytes_of(self, peer), static_cast<uint8_t>(16 * self + peer));
      send_offsets.push_back(static_cast<int64_t>(sent.size()));
      receive_offsets.push_back(receive_offsets.back() + bytes_of(peer, self));
    }
    const Buffer send = device_buffer(send_offsets.back() + 1);
    const Buffer receive = device_buffer(receive_offsets.back() + 1);
    upload(send, sent);
    for (int round = 0; round < 3; ++round) {
      rank.comm.all_to_all(rank.queue,
                           std::span<const std::byte>(send.data(), send_offsets.back()),
                           send_offsets,
                           std::span(receive.data(), receive_offsets.back()),
                           receive_offsets);
    }
    rank.wait();
    const auto got = download<uint8_t>(receive, receive_offsets.back() + 1);
    for (int peer = 0; peer < size; ++peer) {
      for (int64_t i = receive_offsets[peer]; i < receive_offsets[peer + 1]; ++i) {
        ASSERT_EQ(got[i], 16 * peer + self) << i;
      }
    }
    EXPECT_EQ(got.back(), 0);
  });
}

// The flags and the halves alternate; sizes change the number of blocks from turn to turn.
TEST(PeerComm, ThousandsOfTurnsFollowOneAnotherWithoutAWaitOfTheHost) {
  for (const auto order : {emulation::Order::kReverse, emulation::Order::kRandom}) {
    emulation::Settings settings = emulation::settings();
    const emulation::Settings before = settings;
    settings.order = order;
    emulation::set_settings(settings);
    run_peers(2, small_options(2), [](Rank& rank) {
      constexpr int kTurns = 1500;
      const std::vector<float> ones(4096, 1);
      const Buffer data = device_buffer(4096 * 4);
      const Buffer kept = device_buffer(kTurns * 4);
      for (int turn = 0; turn < kTurns; ++turn) {
        // A sum of one, then of many: the value of a turn is twice that of the turn before, mod 2.
        const int64_t count = turn % 5 == 0 ? 4096 : turn % 7 + 1;
        cudaMemsetAsync(data.data(), 0, 4096 * 4, rank.queue.stream());
        if (turn % 2 == rank.self()) {
          cudaMemsetAsync(data.data(), 1 + turn % 100, count * 4, rank.queue.stream());
        }
        rank.comm.all_reduce(rank.queue, data.as(DType::kFloat32, 1, count));
        cudaMemcpyAsync(kept.data() + turn * 4,
                        data.data() + (count - 1) * 4,
                        4,
                        cudaMemcpyDeviceToDevice,
                        rank.queue.stream());
      }
      rank.wait();
      const auto got = download<uint32_t>(kept, kTurns);
      for (int turn = 0; turn < kTurns; ++turn) {
        ASSERT_EQ(got[turn], 0x01010101u * (1 + turn % 100)) << turn;
      }
    });
    emulation::set_settings(before);
  }
}

TEST(PeerComm, ARecordedStepIsReplayed) {
  run_peers(2, small_options(2), [](Rank& rank) {
    const Buffer data = device_buffer(64);
    upload(data, std::vector<float>(16, 1.0f));
    cudaGraph_t graph = nullptr;
    cudaGraphExec_t exec = nullptr;
    const cudaStream_t stream = rank.queue.stream();
    ASSERT_EQ(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal), cudaSuccess);
    for (int i = 0; i < 3; ++i) {
      rank.comm.all_reduce(rank.queue, data.as(DType::kFloat32, 1, 16));
      rank.comm.poll();
    }
    ASSERT_EQ(cudaStreamEndCapture(stream, &graph), cudaSuccess);
    ASSERT_EQ(cudaGraphInstantiate(&exec, graph, 0), cudaSuccess);
    for (int i = 0; i < 5; ++i) ASSERT_EQ(cudaGraphLaunch(exec, stream), cudaSuccess);
    rank.wait();
    EXPECT_EQ(download<float>(data, 16), std::vector<float>(16, 32768.0f));  // 2^15
    cudaGraphExecDestroy(exec);
    cudaGraphDestroy(graph);
  });
}

// Rank 0 runs ahead as far as the ring lets it; 40 messages pass two slots.
TEST(PeerComm, MoreMessagesThanSlotsArriveInOrder) {
  PeerCommOptions options = small_options(3);
  options.messages = PeerMessages::kToNext;
  options.reduce_bytes = 0;
  run_peers(3, options, [](Rank& rank) {
    constexpr int kMessages = 40;
    constexpr int64_t kBytes = 1000;
    const Buffer data = device_buffer(kMessages * kBytes);
    const auto message = [&](int i) { return std::span(data.data() + i * kBytes, kBytes - i); };
    for (int i = 0; i < kMessages; ++i) {
      if (rank.self() > 0) {
        rank.comm.complete(rank.comm.receive(rank.queue, message(i), rank.self() - 1, 0));
      } else {
        cudaMemsetAsync(message(i).data(), i + 1, message(i).size(), rank.queue.stream());
      }
      if (rank.self() < 2) rank.comm.send(rank.queue, message(i), rank.self() + 1, 0);
    }
    rank.wait();
    const auto got = download<uint8_t>(data, kMessages * kBytes);
    for (int i = 0; i < kMessages; ++i) {
      EXPECT_EQ(got[i * kBytes], i + 1);
      EXPECT_EQ(got[(i + 1) * kBytes - i - 1], i + 1);
      if (i > 0) {
        EXPECT_EQ(got[(i + 1) * kBytes - i], 0);
      }
    }
  });
}

// What a rank says after the deadline when rank 1 does not come.
std::string named(const PeerCommOptions& options,
                  int size,
                  const std::function<void(Rank&)>& enqueue) {
  std::string message;
  run_peers(size, options, [&](Rank& rank) {
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

void reduce_four(Rank& rank) {
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
  run_peers(2, options, [&](Rank& rank) {
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
  const std::string message = named(options, 3, [&](Rank& rank) {
    rank.comm.receive(rank.queue, std::span(data.data(), 64), 2, 0);
  });
  EXPECT_NE(message.find("the test: receive with rank 2 here"), std::string::npos) << message;
}

TEST(PeerComm, APeerThatDoesNotTakeItsMessagesIsNamedAtTheDeadline) {
  PeerCommOptions options = small_options(2);
  options.messages = PeerMessages::kToNext;
  options.reduce_bytes = 0;
  const Buffer data = device_buffer(64);
  const std::string message = named(options, 2, [&](Rank& rank) {
    for (int i = 0; i < 5; ++i) {
      rank.comm.send(rank.queue, std::span<const std::byte>(data.data(), 64), 1, 0);
    }
  });
  EXPECT_NE(message.find("the test: send with rank 1 here"), std::string::npos) << message;
}

TEST(PeerComm, AnIdleQueuePastTheDeadlineIsNoFailure) {
  run_peers(2, small_options(2), [](Rank& rank) {
    expect_sum<Fp32>(rank, 100);
    rank.comm.set_deadline(SteadyClock().now_us() - 1);
    rank.comm.poll();
    EXPECT_TRUE(rank.comm.status().ok()) << message_of(rank.comm.status());
  });
}

// The emulated device ends the process where memory is freed that somebody has open.
TEST(PeerComm, ProcessesFreeTheirMemoryOnceAllPeersHaveClosedIt) {
  PeerCommOptions options = small_options(8);
  options.process = 100;
  for (int round = 0; round < 5; ++round) {
    emulation::start_recording();
    run_peers(8, options, [](Rank& rank) { expect_sum<Fp32>(rank, 9); });
    const auto calls = emulation::stop_recording();
    EXPECT_EQ(
        std::ranges::count(calls, std::string("cudaIpcCloseMemHandle"), &emulation::Call::name),
        8 * 7);
  }
}

TEST(PeerComm, AQueueThatIsGoneIsNotAskedWhetherItIsLate) {
  run_peers(2, small_options(2), [](Rank& rank) {
    const Buffer data = device_buffer(16);
    rank.comm.all_reduce(*device_queue(), data.as(DType::kFloat32, 1, 4));
    rank.comm.set_deadline(SteadyClock().now_us() - 1);
    rank.comm.poll();
    EXPECT_TRUE(rank.comm.status().ok()) << message_of(rank.comm.status());
  });
}

// Nobody has looked at the deadline; rank 1 neither sends nor comes to the meeting.
TEST(PeerComm, TheEndDoesNotWaitForAMessageOfADeadPeer) {
  const PeerCommOptions options = small_options(2);
  auto controls = LocalComm::make("the control", rank_names(2));
  std::vector<std::unique_ptr<PeerComm>> comms(2);
  run_ranks(2, [&](int rank) {
    ASSERT_EQ(cudaSetDevice(rank), cudaSuccess);
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

TEST(PeerComm, MemoryThatCannotBeSeenIsNamedOnEveryRank) {
  const PeerCommOptions options = small_options(2);
  auto controls = LocalComm::make("the control", rank_names(2));
  emulation::fail_call("cudaDeviceEnablePeerAccess", cudaErrorNotSupported);
  std::mutex mutex;
  std::vector<std::string> messages;
  run_ranks(2, [&](int rank) {
    ASSERT_EQ(cudaSetDevice(rank), cudaSuccess);
    const auto made = PeerComm::make(options,
                                     device_buffer(PeerComm::arena_bytes(options, rank, 2)),
                                     shared_buffer(PeerComm::shared_bytes(2)),
                                     std::move(controls[rank]));
    const std::lock_guard lock(mutex);
    messages.push_back(message_of(made.status()));
  });
  ASSERT_EQ(messages.size(), 2u);
  std::ranges::sort(messages);  // the one that cannot, and the one that hears of it
  EXPECT_EQ(messages[0].find("TRI-CUDA-012: rank "), 0u) << messages[0];
  EXPECT_NE(messages[0].find(" cannot see the memory of rank "), std::string::npos) << messages[0];
  EXPECT_EQ(messages[1].find("TRI-CUDA-016: rank "), 0u) << messages[1];
}

TEST(PeerReduceLaunch, TakesOneShotForFewBytesAndTwoForMany) {
  using cuda::choose_peer_reduce;
  EXPECT_EQ(choose_peer_reduce(1, 8, 36).blocks, 1);
  EXPECT_EQ(choose_peer_reduce(8192, 8, 36).blocks, 1);
  EXPECT_EQ(choose_peer_reduce(8193, 8, 36).blocks, 2);
  EXPECT_EQ(choose_peer_reduce(256 << 10, 4, 36).blocks, 32);
  EXPECT_FALSE(choose_peer_reduce(256 << 10, 4, 36).is_two_shot);
  EXPECT_TRUE(choose_peer_reduce((256 << 10) + 2, 4, 36).is_two_shot);
  EXPECT_EQ(choose_peer_reduce((256 << 10) + 2, 4, 36).blocks, 9);
  EXPECT_EQ(choose_peer_reduce(1 << 20, 2, 36).blocks, 36);
  EXPECT_FALSE(choose_peer_reduce(1 << 20, 2, 36).is_two_shot);  // nothing would be saved
  EXPECT_EQ(choose_peer_reduce(1 << 20, 4, 5).blocks, 5);
}

}  // namespace
}  // namespace trireme
