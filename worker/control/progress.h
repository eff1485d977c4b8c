// Progress of the step loop, for the watchdog and the heartbeat. Written by the step loop, read by
// the control thread. Invariant: `operations` grows after every op.
#pragma once

#include <atomic>
#include <cstdint>

#include "proto/step_messages.h"

namespace trireme {

struct Progress {
  std::atomic<uint64_t> operations{0};
  std::atomic<Phase> phase{Phase::kStarting};
  std::atomic<int64_t> step{0};       // last step begun
  std::atomic<int64_t> completed{0};  // last step whose work is done
  std::atomic<int64_t> load_bytes{0};
  std::atomic<int64_t> load_total_bytes{0};

  void enter(Phase next) {
    phase.store(next, std::memory_order_relaxed);
    bump();
  }
  // Enters the phase of a step's ops: computing, or warming up before step 1, where the watchdog
  // allows as much time as for loading, because libraries and devices initialize there.
  void work() {
    enter(step.load(std::memory_order_relaxed) > 0 ? Phase::kCompute : Phase::kWarming);
  }
  void bump() { operations.fetch_add(1, std::memory_order_relaxed); }
};

}  // namespace trireme
