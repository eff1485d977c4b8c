#include "coordinator/tokenizer_pool.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <future>
#include <set>

#include "coordinator/tokenizer_work.h"

namespace trireme {
namespace tokenizer_pool_test {

TokenizerJob text_job(uint64_t number, std::string text) {
  return {number, TextToEncode{std::move(text), true}, false};
}

TokenizerResult length_of_text(const TokenizerJob& job) {
  TokenizerResult result;
  result.ids = {static_cast<TokenId>(std::get<TextToEncode>(job.work).text.size())};
  return result;
}

TEST(TokenizerPool, EveryJobReturnsOnceWithAnyNumberOfThreads) {
  std::mutex mutex;
  std::condition_variable woken;
  int wakes = 0;
  TokenizerPool pool(4, {}, length_of_text, [&] {
    const std::lock_guard lock(mutex);
    ++wakes;
    woken.notify_one();
  });
  for (uint64_t i = 1; i <= 200; ++i) ASSERT_TRUE(pool.submit(text_job(i, std::string(i, 'a'))));
  std::set<uint64_t> seen;
  while (seen.size() < 200) {
    std::unique_lock lock(mutex);
    ASSERT_TRUE(woken.wait_for(lock, std::chrono::seconds(10), [&] { return wakes > 0; }));
    wakes = 0;
    lock.unlock();
    for (const TokenizerResult& result : pool.take()) {
      EXPECT_TRUE(seen.insert(result.job).second);
      EXPECT_EQ(result.ids.at(0), static_cast<TokenId>(result.job));
    }
  }
}

TEST(TokenizerPool, AFullQueueRefusesByJobsAndByBytesAndNeverBlocks) {
  std::promise<void> gate;
  const std::shared_future<void> open = gate.get_future().share();
  const auto wait_then_encode = [&](const TokenizerJob&) {
    open.wait_for(std::chrono::seconds(10));
    return TokenizerResult{};
  };
  {
    TokenizerPool pool(1, {3, 100}, wait_then_encode, [] {});
    int taken = 0;
    for (uint64_t i = 0; i < 10; ++i) taken += pool.submit(text_job(i, "a"));
    EXPECT_GE(taken, 3);
    EXPECT_LE(taken, 4);  // three wait, one may be in work
    gate.set_value();
  }
  std::promise<void> second_gate;
  const std::shared_future<void> second_open = second_gate.get_future().share();
  TokenizerPool pool(
      1,
      {100, 100},
      [&](const TokenizerJob&) {
        second_open.wait_for(std::chrono::seconds(10));
        return TokenizerResult{};
      },
      [] {});
  EXPECT_TRUE(pool.submit(text_job(1, std::string(60, 'a'))));
  EXPECT_FALSE(pool.submit(text_job(2, std::string(60, 'a'))));
  EXPECT_TRUE(pool.submit(text_job(3, std::string(40, 'a'))));
  second_gate.set_value();
}

TEST(TokenizerPool, AChatCountsWithAllItsTextsAndADroppedJobMakesRoom) {
  std::promise<void> gate;
  const std::shared_future<void> open = gate.get_future().share();
  std::vector<uint64_t> seen;
  {
    TokenizerPool pool(
        1,
        {100, 100},
        [&](const TokenizerJob& job) {
          open.wait_for(std::chrono::seconds(10));
          seen.push_back(job.number);
          return TokenizerResult{};
        },
        [] {});
    ChatRequest chat;
    chat.messages_json = std::string(30, 'm');
    chat.tools_json = std::string(30, 't');
    EXPECT_TRUE(pool.submit(text_job(1, "")));  // in work
    EXPECT_TRUE(pool.submit({2, chat, false}));
    EXPECT_FALSE(pool.submit({3, chat, false}));
    pool.drop(2);
    pool.drop(77);  // none of its jobs
    EXPECT_TRUE(pool.submit({3, chat, false}));
    gate.set_value();
    while (pool.take().empty()) std::this_thread::yield();
  }
  EXPECT_EQ(std::count(seen.begin(), seen.end(), 2), 0);
}

TEST(TokenizerPool, PromptsOvertakeQuestionsAndAQuestionComesInTheEnd) {
  std::promise<void> gate;
  const std::shared_future<void> open = gate.get_future().share();
  std::vector<uint64_t> seen;
  {
    TokenizerPool pool(
        1,
        {100, 1'000'000},
        [&](const TokenizerJob& job) {
          open.wait_for(std::chrono::seconds(10));
          seen.push_back(job.number);
          return TokenizerResult{};
        },
        [] {});
    const auto question = [&](uint64_t number) {
      TokenizerJob job = text_job(number, "a");
      job.is_question = true;
      return pool.submit(std::move(job));
    };
    EXPECT_TRUE(pool.submit(text_job(1, "")));
    int taken = 0;
    for (uint64_t number = 100; number < 200; ++number) taken += question(number);
    EXPECT_GE(taken, 49);
    EXPECT_LE(taken, 50) << "the other half of the queue is for prompts";
    for (uint64_t number = 2; number <= 40; ++number) {
      EXPECT_TRUE(pool.submit(text_job(number, "a")));
    }
    gate.set_value();
    size_t num_results = 0;
    while (num_results < static_cast<size_t>(taken) + 40) num_results += pool.take().size();
  }
  const auto place = [&](uint64_t number) {
    return std::find(seen.begin(), seen.end(), number) - seen.begin();
  };
  EXPECT_GE(place(100), 16);
  EXPECT_LT(place(100), place(40));
  EXPECT_LT(place(40), place(105));
}

TEST(TokenizerWork, AnAnswerToAQuestionStopsAtItsBound) {
  const auto tokenizer =
      Tokenizer::load(std::string(TRIREME_SOURCE_DIR) + "/models/demo/tokenizer.json").value();
  TokenizerJob job;
  job.is_question = true;
  const std::vector<TokenId> ids = tokenizer->encode("The galley", {false, false}).value();
  std::vector<TokenId> many;
  while (many.size() < 3'000'000) many.insert(many.end(), ids.begin(), ids.end());
  job.work = IdsToDecode{many, true};
  const TokenizerResult decoded = run_job(job, *tokenizer, nullptr, 0);
  EXPECT_EQ(error_id(decoded.status), "TRI-NET-004");
  EXPECT_TRUE(decoded.text.empty());
  many.resize(1'000);
  job.work = IdsToDecode{many, true};
  EXPECT_EQ(run_job(job, *tokenizer, nullptr, 0).text, tokenizer->decode(many, true));
  std::string text;
  while (text.size() < 2'000'000) text += "a b c d ";
  job.work = TextToEncode{text, false};
  job.want_pieces = true;
  const TokenizerResult encoded = run_job(job, *tokenizer, nullptr, 0);
  EXPECT_EQ(error_id(encoded.status), "TRI-NET-004");
  EXPECT_TRUE(encoded.ids.empty());
  job.is_question = false;
  job.want_pieces = false;
  EXPECT_TRUE(run_job(job, *tokenizer, nullptr, 0).status.ok()) << "a prompt has no such bound";
}

}  // namespace tokenizer_pool_test
}  // namespace trireme
