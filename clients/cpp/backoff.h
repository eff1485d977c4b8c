// Delays between attempts that fail one after another: they double from the first to the longest,
// each shortened by a random share of up to a half, so that many clients do not return at the same
// moment. Plain value; deterministic for a seed.
#pragma once

#include <cstdint>

#include "base/clock.h"

namespace trireme {

class Backoff {
 public:
  Backoff(TimeUs first_us, TimeUs longest_us, uint64_t seed)
      : first_us_(first_us), longest_us_(longest_us), next_us_(first_us), random_(seed) {}

  // In [d / 2, d] for d = first, 2 * first, ... longest.
  TimeUs next_us();
  // After a success: the next delay is the first again.
  void reset() { next_us_ = first_us_; }

 private:
  TimeUs first_us_;
  TimeUs longest_us_;
  TimeUs next_us_;
  uint64_t random_;
};

}  // namespace trireme
