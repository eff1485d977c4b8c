// A group's communicators over the memory of emulated devices. Ranks are threads.
#include "worker/comm/device_comms.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <mutex>
#include <thread>

#include "base/dtype.h"
#include "kernels/cuda_backend.h"
#include "kernels/emulation/control.h"
#include "tests/worker/emulated_rank.h"
#include "tests/worker/rank_threads.h"
#include "worker/comm/local_group.h"

namespace trireme {
namespace device_comms_test {

constexpr TimeUs kPatienceUs = 60'000'000;

DeviceCommOptions small_options() {
  DeviceCommOptions options;
  options.residual_bytes = 16 * 24 * 4;
  options.token_bytes = 64;
  options.reduce_bytes = 4096;
  options.exchange_bytes = 256;
  return options;
}

struct Member {
  GroupComms& comms;
  Backend& backend;
  cuda::CudaQueue& queue;

  void wait() const { EXPECT_EQ(cudaStreamSynchronize(queue.stream()), cudaSuccess); }
};

// Runs `body` on the ranks of tp x pp; rank r uses device device_of(r).
void run_group(int tp,
               int pp,
               const std::function<int(int)>& device_of,
               const std::function<void(Member&)>& body) {
  auto group = make_local_group(tp, pp, "here");
  run_ranks(tp * pp, [&](int rank) {
    const auto backend = make_cuda_backend({.device = device_of(rank), .max_batched_tokens = 16});
    ASSERT_TRUE(backend.ok());
    const auto share = find_device_share(*group[rank]);
    ASSERT_TRUE(share.ok()) << message_of(share.status());
    const Status status = use_device_comms(*group[rank], **backend, *share, small_options());
    ASSERT_TRUE(status.ok()) << message_of(status);
    for (Comm* comm :
         {group[rank]->tensor.get(), group[rank]->pipeline.get(), group[rank]->tokens.get()}) {
      comm->set_deadline(SteadyClock().now_us() + kPatienceUs);
    }
    Member member{*group[rank], **backend, cuda::cuda_queue((*backend)->lane())};
    body(member);
    group[rank].reset();
  });
}

void expect_sums(Member& member, int tp) {
  constexpr int kCount = 5000;
  const Buffer data = device_buffer(kCount * 2);
  const int self = member.comms.tensor_index;
  upload(data, std::vector<bf16_t>(kCount, float_to_bf16(1.0f + static_cast<float>(self))));
  member.comms.tensor->all_reduce(member.queue, data.as(DType::kBFloat16, 50, 100));
  member.wait();
  const auto sum = static_cast<float>(tp * (tp + 1) / 2);
  EXPECT_EQ(download<bf16_t>(data, kCount), std::vector<bf16_t>(kCount, float_to_bf16(sum)));
}

TEST(DeviceComms, EveryStageSumsItsOwnRanks) {
  run_group(
      2,
      2,
      [](int rank) { return rank; },
      [](Member& member) {
        EXPECT_TRUE(member.comms.tensor->is_ordered());
        EXPECT_FALSE(member.comms.group->is_ordered());
        EXPECT_EQ(member.comms.tensor->peers().n, 2);
        expect_sums(member, 2);
      });
}

TEST(DeviceComms, RanksOfOneDeviceUsePeerMemory) {
  run_group(
      4,
      1,
      [](int) { return 0; },
      [](Member& member) {
        EXPECT_EQ(member.comms.tensor->peers().n, 4);
        EXPECT_FALSE(member.comms.pipeline->is_ordered());  // one rank: unchanged
        expect_sums(member, 4);
      });
}

// Two stages of two ranks, on one device or two: ranks of a device add in two communicators, whose
// kernels wait there at the same time and leave a multiprocessor to the rank that comes last.
TEST(DeviceComms, SumsOfWaitingRanksLeaveRoomOnTheirDevice) {
  for (const int num_devices : {1, 2}) {
    run_group(
        2,
        2,
        [&](int rank) { return rank % num_devices; },
        [&](Member& member) {
          const PeerView view = member.comms.tensor->peers();
          const int ranks_here = 4 / num_devices;
          const int num_multiprocessors = emulation::settings().num_multiprocessors;
          EXPECT_EQ(view.max_blocks, num_multiprocessors / ranks_here);
          EXPECT_LT((ranks_here - 1) * view.max_blocks, num_multiprocessors);
          expect_sums(member, 2);
        });
  }
}

TEST(DeviceComms, ARankWithItsOwnDeviceMayUseAllOfIt) {
  run_group(
      2,
      2,
      [](int rank) { return rank; },
      [](Member& member) {
        const PeerView view = member.comms.tensor->peers();
        EXPECT_EQ(view.max_blocks, emulation::settings().num_multiprocessors);
      });
}

TEST(DeviceComms, IdsComeBackFromTheLastStage) {
  run_group(
      1,
      3,
      [](int rank) { return rank; },
      [](Member& member) {
        const Buffer ids = device_buffer(64);
        Comm& tokens = *member.comms.tokens;
        for (int step = 0; step < 12; ++step) {
          const std::span<std::byte> bytes(ids.data(), 4 + step * 4);
          if (member.comms.stage == 2) {
            cudaMemsetAsync(ids.data(), step, bytes.size(), member.queue.stream());
            tokens.complete(tokens.send(member.queue, bytes, 0, 0));
          } else if (member.comms.stage == 0) {
            tokens.complete(tokens.receive(member.queue, bytes, 2, 0));
          }
        }
        member.wait();
        if (member.comms.stage == 0) {
          EXPECT_EQ(download<uint8_t>(ids, 48), std::vector<uint8_t>(48, 11));
        }
      });
}

// The ranks' errors if a call of the set-up fails on one of them.
std::vector<std::string> failures(int tp, int pp, const char* call) {
  auto group = make_local_group(tp, pp, "here");
  std::mutex mutex;
  std::vector<std::string> ids;
  emulation::fail_call(call, cudaErrorNotSupported);
  run_ranks(tp * pp, [&](int rank) {
    const auto backend = make_cuda_backend({.device = rank, .max_batched_tokens = 16});
    ASSERT_TRUE(backend.ok());
    const auto share = find_device_share(*group[rank]);
    ASSERT_TRUE(share.ok()) << message_of(share.status());
    const Status status = use_device_comms(*group[rank], **backend, *share, small_options());
    const std::lock_guard lock(mutex);
    ids.push_back(error_id(status));
  });
  std::ranges::sort(ids);
  return ids;
}

TEST(DeviceComms, AFailureOnOneRankIsReportedByAll) {
  EXPECT_EQ(failures(2, 1, "cudaDeviceEnablePeerAccess"),
            (std::vector<std::string>{"TRI-CUDA-012", "TRI-CUDA-016"}));
}

TEST(DeviceComms, WithoutPeerAccessAndNcclTheMessageSaysSo) {
  EXPECT_EQ(failures(2, 1, "cudaDeviceCanAccessPeer"),
            (std::vector<std::string>{"TRI-CUDA-010", "TRI-CUDA-010"}));
}

// Memory is cleared on a stream of its own: a call that waits for the device would spoil a capture.
TEST(DeviceMemory, IsAllocatedBesideTheCaptureOfAnotherRank) {
  const auto first = make_cuda_backend({.device = 0, .max_batched_tokens = 16});
  ASSERT_TRUE(first.ok());
  Backend& captures = **first;
  constexpr int64_t kBytes = 1 << 20;
  std::unique_ptr<Backend> second;
  std::unique_ptr<ReservedMemory> pages;
  Buffer memory;
  captures.capture(captures.lane(), {1, 1, false}, [&] {
    std::thread([&] {
      second = make_cuda_backend({.device = 0, .max_batched_tokens = 16}).value();
      memory = second->allocate(kBytes, "a test").value();
      pages = second->reserve(kBytes, "pages").value();
      EXPECT_TRUE(pages->fill(kBytes).ok());
    }).join();
  });
  EXPECT_TRUE(captures.status(captures.lane()).ok());
  EXPECT_EQ(std::count(memory.data(), memory.data() + kBytes, std::byte{0}), kBytes);
  EXPECT_EQ(std::count(pages->data(), pages->data() + kBytes, std::byte{0}), kBytes);
}

TEST(DeviceComms, RanksWithoutAMultiprocessorOfTheirOwnAreRefused) {
  const emulation::Settings before = emulation::settings();
  emulation::Settings small = before;
  small.num_multiprocessors = 1;
  emulation::set_settings(small);
  auto group = make_local_group(2, 1, "here");
  std::vector<std::string> ids(2);
  run_ranks(2, [&](int rank) {
    const auto backend = make_cuda_backend({.device = 0, .max_batched_tokens = 16});
    ASSERT_TRUE(backend.ok());
    const auto share = find_device_share(*group[rank]);
    ids[rank] = error_id(use_device_comms(*group[rank], **backend, *share, small_options()));
  });
  EXPECT_EQ(ids, std::vector<std::string>(2, "TRI-CUDA-022"));
  emulation::set_settings(before);
}

// The ids of the ranks' answers when `num_ranks` threads share a device.
std::vector<std::string> answers_on_one_device(int num_ranks) {
  auto group = make_local_group(num_ranks, 1, "here");
  std::vector<std::string> ids(num_ranks);
  run_ranks(num_ranks, [&](int rank) {
    ASSERT_EQ(cudaSetDevice(0), cudaSuccess);
    ids[rank] = error_id(find_device_share(*group[rank]).status());
  });
  return ids;
}

// Two streams per rank, eight hardware queues by default.
TEST(DeviceComms, MoreStreamsThanHardwareQueuesAreRefusedOnEveryRank) {
  unsetenv("CUDA_DEVICE_MAX_CONNECTIONS");
  EXPECT_EQ(answers_on_one_device(4), std::vector<std::string>(4, ""));
  EXPECT_EQ(answers_on_one_device(5), std::vector<std::string>(5, "TRI-CUDA-021"));
  setenv("CUDA_DEVICE_MAX_CONNECTIONS", "3", 1);
  EXPECT_EQ(answers_on_one_device(1), std::vector<std::string>(1, ""));
  EXPECT_EQ(answers_on_one_device(2), std::vector<std::string>(2, "TRI-CUDA-021"));
  setenv("CUDA_DEVICE_MAX_CONNECTIONS", "32", 1);
  EXPECT_EQ(answers_on_one_device(8), std::vector<std::string>(8, ""));
  unsetenv("CUDA_DEVICE_MAX_CONNECTIONS");
}

}  // namespace device_comms_test
}  // namespace trireme
