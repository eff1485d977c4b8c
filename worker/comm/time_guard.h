// A limit for what has none of its own: calls of MPI's setup, memory of a device that waits for a
// dead peer. Ends the process by name if it is not destroyed in time.
#pragma once

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <string>
#include <thread>

namespace trireme {

class TimeGuard {
 public:
  // TRI-GRP-003: `what` ("the end of MPI") was not over within the limit.
  explicit TimeGuard(std::string what, std::chrono::milliseconds limit = std::chrono::seconds(20));
  ~TimeGuard();
  TimeGuard(const TimeGuard&) = delete;
  TimeGuard& operator=(const TimeGuard&) = delete;

 private:
  void run();

  const std::string what_;
  const std::chrono::milliseconds limit_;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool is_done_ = false;  // guarded by mutex_
  std::thread thread_;
};

}  // namespace trireme
