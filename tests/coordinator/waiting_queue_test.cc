#include "coordinator/engine/waiting_queue.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <deque>

#include "tests/coordinator/engine_fixture.h"

namespace trireme {
namespace waiting_queue_test {

using testing::ElementsAre;

class WaitingQueueTest : public testing::Test {
 protected:
  Sequence& make(const std::string& share, int32_t priority = 0) {
    Request& request = requests_.emplace_back();
    request.submit.share = share;
    request.submit.priority = priority;
    request.submit.client_request_id = share + std::to_string(++numbers_[share]);
    Sequence& sequence = sequences_.emplace_back();
    sequence.request = &request;
    sequence.arrival = sequences_.size();
    return sequence;
  }
  Sequence& add(const std::string& share, int64_t tokens = 10, int32_t priority = 0) {
    Sequence& sequence = make(share, priority);
    queue_.add(sequence, tokens);
    return sequence;
  }
  // Takes the first `count` sequences as admission does.
  std::vector<std::string> admit(size_t count) {
    std::vector<std::string> names;
    while (names.size() < count && !queue_.empty()) {
      Sequence& first = **queue_.begin();
      names.push_back(first.request->submit.client_request_id);
      queue_.admit(first);
    }
    return names;
  }

  std::deque<Request> requests_;
  std::deque<Sequence> sequences_;
  std::map<std::string, int> numbers_;
  WaitingQueue queue_;
};

TEST_F(WaitingQueueTest, OneShareIsServedInTheOrderOfArrival) {
  for (int i = 0; i < 4; ++i) add("a", 40 - 10 * i);
  EXPECT_THAT(admit(9), ElementsAre("a1", "a2", "a3", "a4"));
}

TEST_F(WaitingQueueTest, ALateShareIsBehindOneRequestOfABusyOneAtMost) {
  for (int i = 0; i < 5; ++i) add("a");
  EXPECT_THAT(admit(2), ElementsAre("a1", "a2"));
  for (int i = 0; i < 2; ++i) add("b");
  EXPECT_THAT(admit(9), ElementsAre("a3", "b1", "a4", "b2", "a5"));
}

TEST_F(WaitingQueueTest, SharesAreEqualInTokensNotInRequests) {
  for (int i = 0; i < 3; ++i) add("long", 40);
  for (int i = 0; i < 8; ++i) add("short", 10);
  EXPECT_THAT(
      admit(8),
      ElementsAre("long1", "short1", "short2", "short3", "short4", "long2", "short5", "short6"));
}

TEST_F(WaitingQueueTest, AnIdleShareSavesNothingUp) {
  for (int i = 0; i < 6; ++i) add("a");
  admit(4);
  for (int i = 0; i < 4; ++i) add("b");
  EXPECT_THAT(admit(4), ElementsAre("a5", "b1", "a6", "b2")) << "not b1 to b4 first";
}

TEST_F(WaitingQueueTest, TokensThatWereNotGeneratedAreGivenBack) {
  Sequence& first = add("a", 100);
  add("b", 10);
  add("b", 10);
  EXPECT_THAT(admit(1), ElementsAre("a1"));
  queue_.give_back(first, 5);
  add("c", 10);
  add("c", 10);
  add("a", 10);
  EXPECT_THAT(admit(9), ElementsAre("b1", "b2", "c1", "a2", "c2"));
}

TEST_F(WaitingQueueTest, ALowerNumberComesFirst) {
  add("a", 10, 1);
  add("b", 10, 0);
  add("c", 10, -7);
  add("d", 10, -7);
  EXPECT_THAT(admit(9), ElementsAre("c1", "d1", "b1", "a1"));
}

TEST_F(WaitingQueueTest, OnesThatComeBackPrecedeAllByArrival) {
  Sequence& first = make("a");
  Sequence& second = make("b", 5);
  add("c", 10, -100);
  queue_.add_again(second);
  queue_.add_again(first);
  EXPECT_THAT(admit(9), ElementsAre("a1", "b1", "c1"));
}

TEST_F(WaitingQueueTest, ASequenceThatEndsWhileItWaitsDelaysNobody) {
  for (int i = 0; i < 4; ++i) add("a");
  Sequence& last = add("a");
  queue_.drop(last);
  queue_.give_back(last, 0);
  add("b");
  EXPECT_THAT(admit(2), ElementsAre("a1", "b1"));
}

TEST_F(WaitingQueueTest, ManySharesWithFewTokensDoNotStopItsClock) {
  for (int i = 0; i < 3; ++i) add("old", 10);
  for (int i = 0; i < 40; ++i) add("waits " + std::to_string(i), 1);
  std::vector<std::string> names;
  for (int round = 0; round < 2'000; ++round) {
    add("new " + std::to_string(round), 1);
    names.push_back(admit(1).at(0));
  }
  EXPECT_THAT(names, testing::IsSupersetOf({"old1", "old2", "old3"}));
}

TEST_F(WaitingQueueTest, WithinAShareTheOrderIsThatOfArrivalWhateverIsGivenBack) {
  Sequence& first = add("a", 1'000);
  add("b");
  EXPECT_THAT(admit(1), ElementsAre("a1"));
  add("a", 10);
  queue_.give_back(first, 1);
  add("a", 10);
  EXPECT_THAT(admit(9), ElementsAre("b1", "a2", "a3"));
}

TEST_F(WaitingQueueTest, NewSharesWithoutEndDoNotKeepAnOldOneFromItsTurn) {
  for (int i = 0; i < 3; ++i) add("old");
  std::vector<std::string> names;
  for (int round = 0; round < 20; ++round) {
    add("new " + std::to_string(round));
    names.push_back(admit(1).at(0));
  }
  EXPECT_THAT(names, testing::IsSupersetOf({"old1", "old2", "old3"}));
}

TEST_F(WaitingQueueTest, SharesThatAreOwedNothingAreForgotten) {
  for (int i = 0; i < 3; ++i) add("first");
  for (int round = 0; round < 1'000; ++round) {
    add("share " + std::to_string(round));
    admit(1);
  }
  EXPECT_EQ(queue_.size(), 3u);
  EXPECT_LE(queue_.num_shares(), 80u);
}

// A share that floods the queue delays another one by a request at most.
TEST(EngineShares, ARequestOfAnotherShareIsSecondInLine) {
  SimulatedCluster cluster(options_of(), 1);
  GroupShape shape = shape_of();
  shape.max_slots = 1;
  cluster.add_group(shape);
  const auto submit = [&](const std::string& share, int32_t priority = 0) {
    SubmitRequest request = prompt_of(8, 8);
    request.share = share;
    request.priority = priority;
    return cluster.submit(request);
  };
  std::vector<int> numbers;
  for (int i = 0; i < 6; ++i) numbers.push_back(submit("busy"));
  cluster.advance(1);
  const int late = submit("late");
  const int urgent = submit("busy", -1);
  std::vector<int> ended;
  numbers.insert(numbers.end(), {late, urgent});
  while (cluster.run_one()) {
    for (const int number : numbers) {
      const bool is_over = cluster.request(number).is_over();
      if (is_over && std::ranges::find(ended, number) == ended.end()) ended.push_back(number);
    }
  }
  ASSERT_EQ(ended.size(), numbers.size());
  EXPECT_EQ(ended[0], numbers[0]) << "it ran already";
  EXPECT_EQ(ended[1], urgent);
  EXPECT_EQ(ended[2], numbers[1]);
  EXPECT_EQ(ended[3], late);
  EXPECT_EQ(cluster.problems(), std::vector<std::string>());
}

}  // namespace waiting_queue_test
}  // namespace trireme
