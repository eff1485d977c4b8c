// Tells a rank that hangs: while it works, its progress must move. Waiting for another rank, for a
// plan or for Start is no hang: those waits have deadlines of their own. Pure logic; the control
// thread calls it.
#pragma once

#include "base/clock.h"
#include "base/status.h"
#include "worker/control/progress.h"

namespace trireme {

class Watchdog {
 public:
  struct Limits {
    TimeUs working_us = 5'000'000;
    TimeUs loading_us = 20'000'000;
  };

  explicit Watchdog(const Limits& limits) : limits_(limits) {}

  // TRI-GRP-014: no progress for longer than the phase allows.
  Status check(const Progress& progress, TimeUs now_us);

 private:
  const Limits limits_;
  uint64_t operations_ = 0;
  TimeUs moved_us_ = -1;  // when the progress last moved; -1: not looked yet
};

}  // namespace trireme
