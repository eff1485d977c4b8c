// Notices that its process stood still: it was stopped (SIGSTOP, a debugger), its machine slept, or
// it got no processor for long. No progress of others during such a gap is the observer's fault, so
// their deadlines move by the gap. Pure; one object per observing thread, called at least several
// times per second.
#pragma once

#include "base/clock.h"

namespace trireme {

class Standstill {
 public:
  // Longer than any delay of a healthy machine's scheduler, shorter than every limit that is
  // judged.
  static constexpr TimeUs kLongestGapUs = 1'000'000;

  // The time since the last call where it is above kLongestGapUs, else 0.
  TimeUs gap_us(TimeUs now_us) {
    const TimeUs gap = is_first_ ? 0 : now_us - last_us_;
    is_first_ = false;
    last_us_ = now_us;
    return gap > kLongestGapUs ? gap : 0;
  }

 private:
  bool is_first_ = true;
  TimeUs last_us_ = 0;
};

}  // namespace trireme
