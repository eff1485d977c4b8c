// What the step loop is doing, for the watchdog and the heartbeat. Written by the step loop alone,
// read by the control thread. Invariant: `operations` grows after every op that ends.
#pragma once

#include <atomic>
#include <cstdint>

#include "proto/step_messages.h"

namespace trireme {

struct Progress {
  std::atomic<uint64_t> operations{0};
  std::atomic<Phase> phase{Phase::kStarting};
  std::atomic<int64_t> step{0};  // the last one begun
  std::atomic<int64_t> load_bytes{0};
  std::atomic<int64_t> load_total_bytes{0};

  void enter(Phase next) {
    phase.store(next, std::memory_order_relaxed);
    bump();
  }
  // At what a step is made of, or warm-up's steps before the first, which may take as long as
  // loading: libraries and devices do there what they do once.
  void work() {
    enter(step.load(std::memory_order_relaxed) > 0 ? Phase::kCompute : Phase::kWarming);
  }
  void bump() { operations.fetch_add(1, std::memory_order_relaxed); }
};

}  // namespace trireme
