// The values of flags, environment variables and configuration files: text to number, switch, size
// and length. No state, any thread. Every error is TRI-ARGS-003 and quotes the text.
#pragma once

#include <charconv>
#include <cstdint>
#include <string>
#include <type_traits>

#include "base/status.h"

namespace trireme {

// The whole text as a decimal number that fits `Number`.
template <class Number>
StatusOr<Number> parse_number(const std::string& text) {
  Number value{};
  const auto [rest, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error == std::errc() && rest == text.data() + text.size() && !text.empty()) return value;
  return invalid("TRI-ARGS-003",
                 "\"{}\" is not {}",
                 text,
                 std::is_integral_v<Number> ? "an integer that fits" : "a number");
}

// true, 1, yes, on; false, 0, no, off.
StatusOr<bool> parse_switch(const std::string& text);

// Bytes: "4096", "512MiB", "80GiB", "1.5g" (k, m, g, t are binary; kb, mb, gb, tb decimal).
StatusOr<int64_t> parse_size(const std::string& text);

// A count: "4096", "32k" (x 1024), "1m" (x 1024 x 1024).
StatusOr<int64_t> parse_length(const std::string& text);

}  // namespace trireme
