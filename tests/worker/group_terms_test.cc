// Ranks that were started with other flags hear it by name, all of them, before they warm up.
#include "worker/group_terms.h"

#include <gtest/gtest.h>

#include <thread>

#include "base/clock.h"
#include "worker/comm/local_group.h"

namespace trireme {
namespace {

std::vector<Status> answers_to(const std::vector<GroupTerms>& terms) {
  const auto group = make_local_group(static_cast<int>(terms.size()), 1, "here");
  std::vector<Status> answers(terms.size());
  std::vector<std::thread> threads;
  for (size_t rank = 0; rank < terms.size(); ++rank) {
    threads.emplace_back([&, rank] {
      Comm& comm = *group[rank]->group;
      comm.set_deadline(SteadyClock().now_us() + 10'000'000);
      answers[rank] = agree_on_terms(comm, terms[rank]);
    });
  }
  for (std::thread& thread : threads) thread.join();
  return answers;
}

TEST(GroupTerms, ThatAreAlikeAreAgreedOn) {
  const GroupTerms terms = {{"dtype", "bfloat16"}, {"max_slots", "64"}};
  for (const Status& answer : answers_to({terms, terms, terms})) EXPECT_TRUE(answer.ok());
}

TEST(GroupTerms, ThatDifferAreNamedToEveryRank) {
  const GroupTerms terms = {{"dtype", "bfloat16"}, {"max_slots", "64"}};
  GroupTerms other = terms;
  other[1].second = "65";
  for (const Status& answer : answers_to({terms, terms, other})) {
    EXPECT_EQ(error_id(answer), "TRI-GRP-045");
    EXPECT_NE(message_of(answer).find("max_slots is 64, rank 2 says 65"), std::string::npos)
        << message_of(answer);
  }
}

}  // namespace
}  // namespace trireme
