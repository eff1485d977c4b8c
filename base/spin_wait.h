// Back-off of a thread that polls: it spins for 20 us, then sleeps 50 us between polls, so that
// many ranks can share few cores (16 ranks on two cores: 0.7 ms per step this way, 2.3 to 6.9 ms
// with sched_yield). Time in which the process stood still does not count (base/standstill.h). One
// SpinWait per wait, used by the waiting thread.
#pragma once

#include <time.h>

#include <algorithm>

#include "base/clock.h"
#include "base/standstill.h"

namespace trireme {

class SpinWait {
 public:
  // A wait that begins near or after its deadline lasts at least `least_us`.
  SpinWait(Clock& clock, TimeUs deadline_us, TimeUs least_us = 0)
      : clock_(clock),
        start_us_(clock.now_us()),
        deadline_us_(std::max(deadline_us, start_us_ + least_us)) {
    standstill_.gap_us(start_us_);
  }

  // Called between two polls; false once the deadline has passed.
  bool wait() {
    const TimeUs now_us = clock_.now_us();
    stood_us_ += standstill_.gap_us(now_us);
    if (now_us - stood_us_ >= deadline_us_) return false;
    if (now_us - start_us_ < kSpinUs) return true;
    const timespec pause{0, kSleepUs * 1000};
    nanosleep(&pause, nullptr);
    return true;
  }

 private:
  static constexpr TimeUs kSpinUs = 20;
  static constexpr long kSleepUs = 50;

  Clock& clock_;
  const TimeUs start_us_;
  const TimeUs deadline_us_;
  Standstill standstill_;
  TimeUs stood_us_ = 0;
};

}  // namespace trireme
