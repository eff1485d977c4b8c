// The probe of a captured sum over emulated devices: a sum that works in a capture, one that takes
// memory there, and one whose replay is wrong.
#include "worker/comm/capture_probe.h"

#include <gtest/gtest.h>

#include <barrier>
#include <functional>

#include "tests/worker/emulated_rank.h"
#include "tests/worker/rank_threads.h"
#include "worker/comm/local_comm.h"

namespace trireme {
namespace capture_probe_test {

constexpr int kRanks = 2;

// The ranks' values meet in host functions of the two devices' streams.
struct Meeting {
  std::barrier<> barrier{kRanks};
  float* values[kRanks] = {};
};
struct Member {
  Meeting* meeting;
  int rank;
  int runs = 0;
  int wrong_run = 0;  // the run whose result is wrong; 0: none
};

void add_up(void* argument) {
  auto& member = *static_cast<Member*>(argument);
  Meeting& meeting = *member.meeting;
  meeting.barrier.arrive_and_wait();
  const float sum = meeting.values[0][0] + meeting.values[1][0];
  meeting.barrier.arrive_and_wait();
  ++member.runs;
  std::fill_n(
      meeting.values[member.rank], kProbeCount, member.runs == member.wrong_run ? sum + 1 : sum);
}

// The ids of the ranks' answers. `before` is called on rank 1 with each of its sums.
std::vector<std::string> answers(int wrong_run, const std::function<void()>& before) {
  auto controls = LocalComm::make("the control", rank_names(kRanks));
  Meeting meeting;
  std::vector<std::string> ids(kRanks);
  run_ranks(kRanks, [&](int rank) {
    ASSERT_EQ(cudaSetDevice(rank), cudaSuccess);
    const Buffer values = device_buffer(kProbeBytes);
    const auto queue = device_queue();
    Member member{&meeting, rank, 0, rank == 1 ? wrong_run : 0};
    meeting.values[rank] = reinterpret_cast<float*>(values.data());
    CaptureProbe probe;
    probe.name = "the test";
    probe.library = "a library";
    probe.peers = rank_names(kRanks);
    probe.values = meeting.values[rank];
    probe.stream = queue->stream();
    probe.sum = [&] {
      if (rank == 1) before();
      return cudaLaunchHostFunc(queue->stream(), add_up, &member);
    };
    ids[rank] = error_id(probe_captured_sum(*controls[rank], probe));
  });
  return ids;
}

TEST(CaptureProbe, ASumThatCanBeCapturedPasses) {
  EXPECT_EQ(answers(0, [] {}), std::vector<std::string>(kRanks, ""));
}

TEST(CaptureProbe, ASumThatSpoilsTheCaptureIsRefusedOnEveryRank) {
  std::vector<Buffer> taken;
  EXPECT_EQ(answers(0,
                    [&] {
                      void* memory = nullptr;  // refused in the capture
                      if (cudaMalloc(&memory, 16) != cudaSuccess) return;
                      taken.emplace_back(static_cast<std::byte*>(memory),
                                         16,
                                         [](std::byte* data, int64_t) { cudaFree(data); });
                    }),
            (std::vector<std::string>{"TRI-CUDA-016", "TRI-CUDA-023"}));
  EXPECT_EQ(taken.size(), 1u);
}

TEST(CaptureProbe, AReplayWithAnotherResultIsRefused) {
  EXPECT_EQ(answers(2, [] {}), (std::vector<std::string>{"TRI-CUDA-016", "TRI-CUDA-023"}));
}

}  // namespace capture_probe_test
}  // namespace trireme
