// The times at which the control thread leaves without an error of the step loop: no connection
// since the link was opened, or since the coordinator was lost, and a drained group that has not
// ended. A standstill of the process moves them. Pure; used by one thread at a time.
#pragma once

#include "base/clock.h"
#include "base/standstill.h"

namespace trireme {

class LinkLimits {
 public:
  explicit LinkLimits(TimeUs connect_timeout_us) : connect_timeout_us_(connect_timeout_us) {}

  void open(TimeUs now_us) {
    standstill_.gap_us(now_us);
    connect_until_us_ = now_us + connect_timeout_us_;
  }
  // The coordinator has ended, or the network to it: a successor may come.
  void lose(TimeUs now_us) { connect_until_us_ = now_us + kSuccessorUs; }
  void drain(TimeUs now_us) { drain_until_us_ = now_us + kOrderlyEndUs; }

  // First in every round of the control thread. Returns the gap (base/standstill.h).
  TimeUs notice_standstill(TimeUs now_us) {
    const TimeUs gap_us = standstill_.gap_us(now_us);
    connect_until_us_ += gap_us;
    drain_until_us_ += gap_us;
    return gap_us;
  }

  bool connect_is_over(TimeUs now_us) const { return now_us > connect_until_us_; }
  bool drain_is_over(TimeUs now_us) const { return now_us >= drain_until_us_; }

  static constexpr TimeUs kSuccessorUs = 60'000'000;

 private:
  static constexpr TimeUs kOrderlyEndUs = 3'000'000;

  const TimeUs connect_timeout_us_;
  Standstill standstill_;
  TimeUs connect_until_us_ = 0;
  TimeUs drain_until_us_ = 0;
};

}  // namespace trireme
