// A time limit for blocking calls of a library that has none, made one after another by one thread:
// NCCL's, which wait for peers. Ends the process if a call does not return in time. One thread of
// its own watches all calls of its owner.
#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <thread>

#include "base/status.h"

namespace trireme {

class CallGuard {
 public:
  // `late(operation)` is the error of an operation that lasts longer than `limit`.
  using Late = std::function<Status(const char* operation)>;
  CallGuard(std::chrono::milliseconds limit, Late late);
  ~CallGuard();
  CallGuard(const CallGuard&) = delete;
  CallGuard& operator=(const CallGuard&) = delete;

  // Calls `call` under the limit and returns its result. `operation`: a literal.
  template <class Call>
  auto watch(const char* operation, const Call& call) {
    begin(operation);
    auto result = call();
    begin(nullptr);
    return result;
  }

 private:
  using Clock = std::chrono::steady_clock;

  void begin(const char* operation);  // null: the call has returned
  void run();

  const std::chrono::milliseconds limit_;
  const Late late_;
  std::mutex mutex_;
  std::condition_variable changed_;
  const char* operation_ = nullptr;  // guarded by mutex_, like the following members
  Clock::time_point begin_;
  bool is_done_ = false;
  std::thread thread_;
};

}  // namespace trireme
