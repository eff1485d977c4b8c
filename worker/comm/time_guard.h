// A time limit for calls that have none: MPI set-up, freeing device memory while the device waits
// for a dead peer. Ends the process if the guard is not destroyed in time. Uses a thread of its
// own.
#pragma once

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <string>
#include <thread>

namespace trireme {

class TimeGuard {
 public:
  // `what` names the call in the error: "the end of MPI". TRI-GRP-003: it took longer than the
  // limit.
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
