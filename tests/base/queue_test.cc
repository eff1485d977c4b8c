#include "base/queue.h"

#include <gtest/gtest.h>

#include <memory>
#include <thread>
#include <vector>

namespace trireme {
namespace {

using std::chrono::microseconds;
using std::chrono::seconds;

TEST(BoundedQueue, RefusesWhenFullAndLeavesTheValueWithTheCaller) {
  BoundedQueue<std::unique_ptr<int>> queue(1);
  EXPECT_TRUE(queue.try_push(std::make_unique<int>(1)));
  auto second = std::make_unique<int>(2);
  EXPECT_FALSE(queue.try_push(std::move(second)));
  ASSERT_NE(second, nullptr);
  EXPECT_EQ(**queue.try_pop(), 1);
  EXPECT_TRUE(queue.try_push(std::move(second)));
}

TEST(BoundedQueue, KeepsTheOrder) {
  BoundedQueue<int> queue(3);
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(queue.try_push(int{i}));
  for (int i = 0; i < 3; ++i) EXPECT_EQ(queue.pop(seconds(5)), i);
  EXPECT_EQ(queue.try_pop(), std::nullopt);
}

TEST(BoundedQueue, PopGivesUpAtItsDeadline) {
  BoundedQueue<int> queue(1);
  EXPECT_EQ(queue.pop(microseconds(100)), std::nullopt);
}

TEST(BoundedQueue, AfterCloseTheRestIsPoppedAndNothingEnters) {
  BoundedQueue<int> queue(4);
  ASSERT_TRUE(queue.try_push(1));
  queue.close();
  EXPECT_FALSE(queue.try_push(2));
  EXPECT_EQ(queue.pop(seconds(5)), 1);
  EXPECT_EQ(queue.pop(seconds(5)), std::nullopt);
}

TEST(BoundedQueue, CloseWakesAWaitingConsumerBeforeItsDeadline) {
  BoundedQueue<int> queue(1);
  const auto begin = std::chrono::steady_clock::now();
  std::thread consumer([&] { EXPECT_EQ(queue.pop(seconds(60)), std::nullopt); });
  queue.close();
  consumer.join();
  EXPECT_LT(std::chrono::steady_clock::now() - begin, seconds(30));
}

TEST(BoundedQueue, NothingIsLostOrRepeatedBetweenThreads) {
  constexpr int kProducers = 3;
  constexpr int kEach = 2000;
  BoundedQueue<int> queue(16);
  std::vector<std::thread> producers;
  for (int p = 0; p < kProducers; ++p) {
    producers.emplace_back([&queue, p] {
      for (int i = 0; i < kEach; ++i) {
        while (!queue.try_push(p * kEach + i)) std::this_thread::yield();
      }
    });
  }
  std::vector<int> times_seen(kProducers * kEach);
  for (int i = 0; i < kProducers * kEach; ++i) {
    const auto value = queue.pop(seconds(60));
    if (!value) break;
    ++times_seen[static_cast<size_t>(*value)];
  }
  for (std::thread& producer : producers) producer.join();
  EXPECT_EQ(times_seen, std::vector<int>(kProducers * kEach, 1));
}

}  // namespace
}  // namespace trireme
