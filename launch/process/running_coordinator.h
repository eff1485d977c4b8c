// The coordinator that runs on a state folder, found by the lock that it holds there
// (docs/formats.md). Main thread.
#pragma once

#include <sys/types.h>

#include <string>

#include "base/status.h"

namespace trireme {

class RunningCoordinator {
 public:
  // TRI-UP-045: nobody holds the lock of `folder`, or there is none.
  static StatusOr<RunningCoordinator> find(const std::string& folder);

  RunningCoordinator(RunningCoordinator&& other) noexcept;
  RunningCoordinator& operator=(RunningCoordinator&&) = delete;
  ~RunningCoordinator();

  pid_t pid() const { return pid_; }
  // Readable once the process has ended.
  int descriptor() const { return pid_fd_; }

  // Sends SIGTERM. TRI-UP-046: not allowed.
  Status ask_to_drain() const;
  // Waits up to `timeout_ms`; whether the process has ended.
  bool wait_end(int timeout_ms) const;
  // After its end. TRI-UP-047: it did not drain, but ended in another way.
  Status check_drained() const;

 private:
  RunningCoordinator(std::string folder, pid_t pid, int pid_fd)
      : folder_(std::move(folder)), pid_(pid), pid_fd_(pid_fd) {}

  const std::string folder_;
  const pid_t pid_;
  int pid_fd_;
};

}  // namespace trireme
