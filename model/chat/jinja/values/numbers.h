// Numbers from texts and their rounding, as in Python. Pure functions, any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace trireme::jinja {

// float(text). Empty: ValueError.
std::optional<double> parse_float(std::string_view text);
// round(number, precision): the nearest of the exact decimal value, half to even.
double round_float(double number, int64_t precision);

}  // namespace trireme::jinja
