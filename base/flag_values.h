// The values of flags, environment variables and configuration files: text to number, switch, size
// and length. No state, any thread. Every error is TRI-ARGS-003 and quotes the text.
#pragma once

#include <charconv>
#include <cmath>
#include <cstdint>
#include <limits>
#include <string>
#include <type_traits>

#include "base/status.h"

namespace trireme {

// The whole text as a finite decimal number that fits `Number`. An integer may be written as 8, 8.0
// or 1e3.
template <class Number>
StatusOr<Number> parse_number(const std::string& text) {
  using Limits = std::numeric_limits<Number>;
  const char* const end = text.data() + text.size();
  Number value{};
  const auto [rest, error] = std::from_chars(text.data(), end, value);
  const bool is_number = error == std::errc() && rest == end && !text.empty();
  if constexpr (std::is_integral_v<Number>) {
    if (is_number) return value;
    double number = 0;
    const auto as_double = std::from_chars(text.data(), end, number);
    if (as_double.ptr != end || text.empty() || std::isnan(number)) {
      return invalid("TRI-ARGS-003", "\"{}\" is not a whole number", text);
    }
    // Exact: the limits and 2^63, 2^64 just above them are powers of two.
    const bool fits = as_double.ec == std::errc() && number >= static_cast<double>(Limits::min()) &&
                      number < std::ldexp(1.0, Limits::digits);
    if (!fits) {
      return invalid("TRI-ARGS-003",
                     "{} is out of range, allowed are {} to {}",
                     text,
                     Limits::min(),
                     Limits::max());
    }
    if (static_cast<double>(static_cast<Number>(number)) == number) {
      return static_cast<Number>(number);
    }
    return invalid("TRI-ARGS-003", "{} is not a whole number", text);
  } else {
    if (is_number && std::isfinite(value)) return value;
    return invalid("TRI-ARGS-003", "\"{}\" is not a finite number", text);
  }
}

// true, 1, yes, on; false, 0, no, off.
StatusOr<bool> parse_switch(const std::string& text);

// Bytes: "4096", "512MiB", "80GiB", "1.5g" (k, m, g, t are binary; kb, mb, gb, tb decimal).
StatusOr<int64_t> parse_size(const std::string& text);

// A count: "4096", "32k" (x 1024), "1m" (x 1024 x 1024).
StatusOr<int64_t> parse_length(const std::string& text);

}  // namespace trireme
