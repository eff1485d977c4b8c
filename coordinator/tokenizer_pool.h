// Thread pool that renders chats, tokenizes prompts and decodes ids, so that the loop does not
// wait. submit() and take() belong to the loop's thread; `work` is called by several pool threads
// at once. Waiting jobs and results are bounded in number and bytes, questions at half of the
// bounds. Prompts of Submits overtake questions, up to kMaxInRow for each question. After each
// result the pool calls `wake`; the loop then calls take(). The destructor drops jobs that have not
// begun.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include "base/status.h"
#include "coordinator/doors/clients/tokenizer_job.h"

namespace trireme {

class TokenizerPool {
 public:
  // `job` of the result is set by the pool.
  using Work = std::function<TokenizerResult(const TokenizerJob&)>;
  struct Bounds {
    size_t max_jobs = 4096;
    int64_t max_bytes = 256ll << 20;  // of waiting texts, JSON texts of chats included
  };

  TokenizerPool(int num_threads, Bounds bounds, Work work, std::function<void()> wake);
  ~TokenizerPool();

  // False: the queue is full and the job is refused.
  bool submit(TokenizerJob job);
  std::vector<TokenizerResult> take();
  // Drops a job that has not begun; the result of one that has is to be ignored.
  void drop(uint64_t job);

 private:
  void run();
  TokenizerJob next_job();

  static constexpr int kMaxInRow = 16;

  const Bounds bounds_;
  const Work work_;
  const std::function<void()> wake_;
  std::mutex mutex_;  // guards all members below but threads_
  std::condition_variable has_work_;
  std::deque<TokenizerJob> prompts_;
  std::deque<TokenizerJob> questions_;
  int prompts_in_row_ = 0;     // that overtook a question
  int64_t waiting_bytes_ = 0;  // of jobs, in work too, and of results that were not taken
  std::vector<TokenizerResult> results_;
  bool stopping_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace trireme
