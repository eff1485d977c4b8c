#include "coordinator/tokenizer_pool.h"

#include <gtest/gtest.h>

#include <future>
#include <set>

namespace trireme {
namespace {

TokenizerPool::Encode length_of_text() {
  return [](const TokenizeJob& job) -> StatusOr<std::vector<TokenId>> {
    return std::vector<TokenId>{static_cast<TokenId>(job.text.size())};
  };
}

TEST(TokenizerPool, EveryJobReturnsOnceWithAnyNumberOfThreads) {
  std::mutex mutex;
  std::condition_variable woken;
  int wakes = 0;
  TokenizerPool pool(4, {}, length_of_text(), [&] {
    const std::lock_guard lock(mutex);
    ++wakes;
    woken.notify_one();
  });
  for (uint64_t i = 1; i <= 200; ++i) ASSERT_TRUE(pool.submit({i, std::string(i, 'a'), true}));
  std::set<uint64_t> seen;
  while (seen.size() < 200) {
    std::unique_lock lock(mutex);
    ASSERT_TRUE(woken.wait_for(lock, std::chrono::seconds(10), [&] { return wakes > 0; }));
    wakes = 0;
    lock.unlock();
    for (const TokenizerPool::Result& result : pool.take()) {
      EXPECT_TRUE(seen.insert(result.job).second);
      EXPECT_EQ(result.ids->at(0), static_cast<TokenId>(result.job));
    }
  }
}

TEST(TokenizerPool, AFullQueueRefusesByJobsAndByBytesAndNeverBlocks) {
  std::promise<void> gate;
  const std::shared_future<void> open = gate.get_future().share();
  const auto wait_then_encode = [&](const TokenizeJob&) -> StatusOr<std::vector<TokenId>> {
    open.wait_for(std::chrono::seconds(10));
    return std::vector<TokenId>{};
  };
  {
    TokenizerPool pool(1, {3, 100}, wait_then_encode, [] {});
    int taken = 0;
    for (uint64_t i = 0; i < 10; ++i) taken += pool.submit({i, "a", true});
    EXPECT_GE(taken, 3);
    EXPECT_LE(taken, 4);  // three wait, one may be in work
    gate.set_value();
  }
  std::promise<void> second_gate;
  const std::shared_future<void> second_open = second_gate.get_future().share();
  TokenizerPool pool(
      1,
      {100, 100},
      [&](const TokenizeJob&) -> StatusOr<std::vector<TokenId>> {
        second_open.wait_for(std::chrono::seconds(10));
        return std::vector<TokenId>{};
      },
      [] {});
  EXPECT_TRUE(pool.submit({1, std::string(60, 'a'), true}));
  EXPECT_FALSE(pool.submit({2, std::string(60, 'a'), true}));
  EXPECT_TRUE(pool.submit({3, std::string(40, 'a'), true}));
  second_gate.set_value();
}

}  // namespace
}  // namespace trireme
