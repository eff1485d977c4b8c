// Delays between the starts of a child that fails again and again: they double.
#pragma once

#include <string>

#include "base/clock.h"
#include "base/text.h"

namespace trireme {

constexpr TimeUs kFirstRestartDelayUs = 1'000'000;
constexpr TimeUs kLongestRestartDelayUs = 60'000'000;

// "at once", "in 2 s"
inline std::string describe_delay(TimeUs delay_us) {
  return delay_us == 0 ? "at once" : format_text("in {} s", delay_us / 1'000'000);
}

}  // namespace trireme
