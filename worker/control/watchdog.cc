#include "worker/control/watchdog.h"

namespace trireme {

Status Watchdog::check(const Progress& progress, TimeUs now_us, TimeUs gap_us) {
  if (moved_us_ >= 0) moved_us_ += gap_us;
  const uint64_t operations = progress.operations.load(std::memory_order_relaxed);
  const Phase phase = progress.phase.load(std::memory_order_relaxed);
  if (moved_us_ < 0 || operations != operations_ || waits_for_others(phase)) {
    operations_ = operations;
    moved_us_ = now_us;
    return ok_status();
  }
  const TimeUs limit_us = phase == Phase::kCompute ? limits_.working_us : limits_.loading_us;
  if (now_us - moved_us_ <= limit_us) return ok_status();
  return timed_out(
      "TRI-GRP-014",
      "this rank hangs: no operation ended for {:g} s ({}, step {}), allowed are {:g} s; "
      "it leaves its group",
      static_cast<double>(now_us - moved_us_) * 1e-6,
      name_of(phase),
      progress.step.load(std::memory_order_relaxed),
      static_cast<double>(limit_us) * 1e-6);
}

}  // namespace trireme
