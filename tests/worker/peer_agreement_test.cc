// Before warm-up, a rank that was started with different flags is named on every rank.
#include "worker/peer_agreement.h"

#include <gtest/gtest.h>

#include <thread>

#include "base/clock.h"
#include "worker/comm/local_group.h"

namespace trireme {
namespace peer_agreement_test {

std::vector<RankHello> alike(int num_ranks) {
  std::vector<RankHello> hellos(static_cast<size_t>(num_ranks));
  for (int32_t rank = 0; rank < num_ranks; ++rank) {
    RankHello& hello = hellos[rank];
    hello.rank = rank;
    hello.host = std::string(static_cast<size_t>(rank) + 1, 'h');  // frames of unequal lengths
    hello.dtype = "bfloat16";
    hello.max_slots = 64;
  }
  return hellos;
}

std::vector<Status> answers_to(const std::vector<RankHello>& hellos) {
  const auto group = make_local_group(static_cast<int>(hellos.size()), 1, "here");
  std::vector<Status> answers(hellos.size());
  std::vector<std::thread> threads;
  for (size_t rank = 0; rank < hellos.size(); ++rank) {
    threads.emplace_back([&, rank] {
      Comm& comm = *group[rank]->group;
      comm.set_deadline(SteadyClock().now_us() + 10'000'000);
      answers[rank] = agree_with_peers(comm, hellos[rank]);
    });
  }
  for (std::thread& thread : threads) thread.join();
  return answers;
}

TEST(PeerAgreement, RanksWithEqualSettingsAgree) {
  for (const Status& answer : answers_to(alike(3))) EXPECT_TRUE(answer.ok());
}

TEST(PeerAgreement, ASettingThatDiffersIsNamedToEveryRank) {
  std::vector<RankHello> hellos = alike(3);
  hellos[2].max_slots = 65;
  for (const Status& answer : answers_to(hellos)) {
    EXPECT_EQ(error_id(answer), "TRI-GRP-045");
    EXPECT_NE(message_of(answer).find("max_slots is 64, rank 2 (hhh) says 65"), std::string::npos)
        << message_of(answer);
  }
}

}  // namespace peer_agreement_test
}  // namespace trireme
