// PeerComm: sums, messages and captured graphs over emulated devices.
#include <gtest/gtest.h>

#include "kernels/cuda/peer/peer_reduce.h"
#include "kernels/emulation/control.h"
#include "tests/worker/peer_ranks.h"

namespace trireme {
namespace {

class PeerCommOf : public testing::TestWithParam<int> {};
INSTANTIATE_TEST_SUITE_P(Ranks, PeerCommOf, testing::Values(2, 3, 4, 8), [](const auto& info) {
  return std::to_string(info.param);
});

TEST_P(PeerCommOf, AllReduceAddsInRankOrderWhateverTheSize) {
  run_peers(GetParam(), small_options(GetParam()), [](PeerRank& rank) {
    for (const size_t count : {1, 3, 7, 8, 9, 17, 129, 4096, 5001, 20'000, 50'001}) {
      expect_sum<Fp32>(rank, count);
      expect_sum<Bf16>(rank, count);
      expect_sum<Fp16>(rank, count);
    }
  });
}

// Pieces of the production size, so that one-shot and two-shot sums and several pieces occur.
TEST(PeerComm, AllReduceOfMegabytesAddsInRankOrder) {
  PeerCommOptions options = small_options(4);
  options.reduce_bytes = 1 << 20;
  run_peers(4, options, [](PeerRank& rank) {
    expect_sum<Bf16>(rank, (256 << 10) / 2);
    expect_sum<Bf16>(rank, (256 << 10) / 2 + 1);
    expect_sum<Bf16>(rank, (3 << 20) / 2 - 5);
    expect_sum<Fp32>(rank, (1 << 20) / 4 + 3);
  });
}

TEST_P(PeerCommOf, AllGatherAndBroadcastKeepBytesAsTheyAre) {
  const int size = GetParam();
  run_peers(size, small_options(size), [&](PeerRank& rank) {
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

// Rows of unequal parts, in pieces smaller than a row and larger; the rest stays as it was.
TEST_P(PeerCommOf, GatherRowsBringsTheRowsThatAskToTheirOwners) {
  const int size = GetParam();
  PeerCommOptions options = small_options(size);
  options.reduce_bytes = 4096;
  run_peers(size, options, [&](PeerRank& rank) {
    constexpr int64_t kRows = 41;
    const auto value_of = [](int64_t row, int64_t id) {
      return static_cast<float>(100'000 * row + id);
    };
    std::vector<int64_t> columns = {0};
    for (int peer = 0; peer < size; ++peer) columns.push_back(columns.back() + 301 + 17 * peer);
    const int64_t width = columns.back();
    const int64_t begin = columns[rank.self()];
    const int64_t own_width = columns[rank.self() + 1] - begin;
    std::vector<float> mine;
    for (int64_t i = 0; i < kRows * own_width; ++i) {
      mine.push_back(value_of(i / own_width, begin + i % own_width));
    }
    const auto first = static_cast<int32_t>(kRows * rank.self() / size);
    const int64_t num_own = kRows * (rank.self() + 1) / size - first;
    const Buffer local = device_buffer(kRows * own_width * 4);
    const Buffer asks = device_buffer(kRows * static_cast<int64_t>(sizeof(SamplingRow)));
    const Buffer whole = device_buffer((num_own * width + 1) * 4);
    upload(local, mine);
    // Which rows ask: none, one, every third, all.
    for (const int64_t period : {int64_t{1000}, kRows, int64_t{3}, int64_t{1}, int64_t{1000}}) {
      std::vector<SamplingRow> rows(kRows);
      for (int64_t i = 0; i < kRows; ++i) rows[i].top_p = (i + 1) % period == 0 ? 0.5f : 1.0f;
      upload(asks, rows);
      upload(whole, std::vector<float>(num_own * width + 1, -1));
      rank.comm.gather_rows(rank.queue,
                            local.as(DType::kFloat32, kRows, own_width),
                            reinterpret_cast<const SamplingRow*>(asks.data()),
                            first,
                            whole.as(DType::kFloat32, num_own, width),
                            columns);
      expect_sum<Fp32>(rank, 2000);  // the turns after it find their places
      rank.wait();
      const auto got = download<float>(whole, num_own * width + 1);
      for (int64_t i = 0; i < num_own * width; ++i) {
        const bool is_asked = rows[first + i / width].needs_whole_row();
        ASSERT_EQ(got[i], is_asked ? value_of(first + i / width, i % width) : -1) << period << i;
      }
      EXPECT_EQ(got.back(), -1);
    }
  });
}

// Rank r sends 1000 r + 3000 to bytes of value 16 r + to to rank `to`: some in several pieces.
TEST_P(PeerCommOf, AllToAllDeliversUnequalPieces) {
  const int size = GetParam();
  run_peers(size, small_options(size), [&](PeerRank& rank) {
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
TEST(PeerComm, ThousandsOfTurnsRunWithoutAWaitOfTheHost) {
  for (const auto order : {emulation::Order::kReverse, emulation::Order::kRandom}) {
    emulation::Settings settings = emulation::settings();
    const emulation::Settings before = settings;
    settings.order = order;
    emulation::set_settings(settings);
    run_peers(2, small_options(2), [](PeerRank& rank) {
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

TEST(PeerComm, ACapturedStepIsReplayed) {
  run_peers(2, small_options(2), [](PeerRank& rank) {
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

// Rank 0 runs ahead as far as the ring allows; 40 messages pass through two slots.
TEST(PeerComm, MoreMessagesThanSlotsArriveInOrder) {
  PeerCommOptions options = small_options(3);
  options.messages = PeerMessages::kToNext;
  options.reduce_bytes = 0;
  run_peers(3, options, [](PeerRank& rank) {
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

// The emulation ends the process if a wait for another device's word lacks the flush where devices
// have it, and refuses the flush where they do not.
TEST(PeerComm, MessagesFlushRemoteWritesWhereTheDeviceCan) {
  const emulation::Settings before = emulation::settings();
  for (const bool can_flush : {true, false}) {
    emulation::Settings settings = before;
    settings.can_flush_remote_writes = can_flush;
    emulation::set_settings(settings);
    run_peers(2, small_options(2), [](PeerRank& rank) {
      const Buffer data = device_buffer(64);
      const std::span<std::byte> bytes(data.data(), 64);
      for (int i = 0; i < 5; ++i) {  // more than slots: both words are waited for
        if (rank.self() == 0) {
          cudaMemsetAsync(data.data(), i + 1, bytes.size(), rank.queue.stream());
          rank.comm.send(rank.queue, bytes, 1, 0);
        } else {
          rank.comm.receive(rank.queue, bytes, 0, 0);
        }
      }
      rank.wait();
      EXPECT_EQ(download<uint8_t>(data, 64), std::vector<uint8_t>(64, 5));
    });
  }
  emulation::set_settings(before);
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
