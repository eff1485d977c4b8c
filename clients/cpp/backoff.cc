#include "clients/cpp/backoff.h"

#include <algorithm>

#include "base/split_mix.h"

namespace trireme {

TimeUs Backoff::next_us() {
  const TimeUs delay_us = next_us_;
  next_us_ = std::min(next_us_ * 2, longest_us_);
  const auto half = static_cast<uint64_t>(delay_us / 2);
  return delay_us - static_cast<TimeUs>(split_mix64(random_) % (half + 1));
}

}  // namespace trireme
