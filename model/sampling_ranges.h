// The values that the numbers of a request may have. One table for the command line, which also
// sees numbers that do not fit a field's type, and for the coordinator. Pure functions.
#pragma once

#include <fmt/core.h>

#include <string>
#include <string_view>
#include <type_traits>

#include "base/status.h"

namespace trireme {

struct NumberRange {
  double low = 0;
  double high = 0;
  const char* allowed = "";   // in words: "above 0 to 1 (off)"
  bool is_above_low = false;  // `low` itself is not allowed

  // False for NaN. A value that was rounded to a float is compared with the rounded limits: 0.01 as
  // a float lies below 0.01.
  template <class Value>
  bool holds(Value value) const {
    using Compared = std::conditional_t<std::is_same_v<Value, float>, float, double>;
    const auto number = static_cast<Compared>(value);
    const auto lowest = static_cast<Compared>(low);
    return number >= lowest && number <= static_cast<Compared>(high) &&
           !(is_above_low && number == lowest);
  }
};

// The range of a field by its name in a request: "top_p", "max_tokens"; "token id" of an id before
// the vocabulary is known. The field is in the table.
const NumberRange& sampling_range(std::string_view field);

// The shortest decimal text that reads back as the same number: 1.0000001 and 1 look different.
template <class Number>
std::string format_exactly(Number value) {
  return fmt::format("{}", value);
}

// TRI-REQ-001: "max_tokens is 0, allowed are 1 to 16777216".
Status out_of_range(std::string_view field, std::string_view seen, std::string_view allowed);

}  // namespace trireme
