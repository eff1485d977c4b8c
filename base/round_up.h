// Sizes in whole units. Pure function.
#pragma once

#include <cstdint>

namespace trireme {

// The smallest multiple of `unit` that is at least `value`; both are not negative.
constexpr int64_t round_up(int64_t value, int64_t unit) { return (value + unit - 1) / unit * unit; }

}  // namespace trireme
