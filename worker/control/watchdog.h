// Detects a rank that hangs: while it works, its progress counter must move. A rank that waits
// is never judged here: waits for ranks end at the step's deadline (StepDeadline, --step-timeout,
// 90 s by default); the waits for Start and for a plan belong to the coordinator. A process that
// stood still as a whole did not hang. Pure logic, called by the control thread ten times a second.
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

  // TRI-GRP-014: no progress for longer than the phase allows. `gap_us`: the standstill since the
  // last call, or 0.
  Status check(const Progress& progress, TimeUs now_us, TimeUs gap_us);

 private:
  const Limits limits_;
  uint64_t operations_ = 0;
  TimeUs moved_us_ = -1;  // when the counter last moved; -1: not checked yet
};

}  // namespace trireme
