// Delays between the starts of a child that fails again and again: they double. Constants.
#pragma once

#include "base/clock.h"

namespace trireme {

constexpr TimeUs kFirstRestartDelayUs = 1'000'000;
constexpr TimeUs kLongestRestartDelayUs = 60'000'000;

}  // namespace trireme
