// Thread pool that tokenizes prompts, so that the loop does not wait. submit() and take() belong to
// the loop's thread; `encode` is called by several pool threads at once. Waiting jobs are bounded
// in number and bytes. After each result the pool calls `wake`; the loop then calls take(). The
// destructor drops jobs that have not begun.
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
#include "coordinator/doors/front_door.h"

namespace trireme {

class TokenizerPool {
 public:
  using Encode = std::function<StatusOr<std::vector<TokenId>>(const TokenizeJob&)>;
  struct Bounds {
    size_t max_jobs = 4096;
    int64_t max_bytes = 256ll << 20;  // of waiting texts
  };
  struct Result {
    uint64_t job = 0;
    StatusOr<std::vector<TokenId>> ids;
  };

  TokenizerPool(int num_threads, Bounds bounds, Encode encode, std::function<void()> wake);
  ~TokenizerPool();

  // False: the queue is full and the job is refused.
  bool submit(TokenizeJob job);
  std::vector<Result> take();

 private:
  void run();

  const Bounds bounds_;
  const Encode encode_;
  const std::function<void()> wake_;
  std::mutex mutex_;  // guards all members below but threads_
  std::condition_variable work_;
  std::deque<TokenizeJob> jobs_;
  int64_t waiting_bytes_ = 0;
  std::vector<Result> results_;
  bool stopping_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace trireme
