// Text for messages: formatting with checked format strings, joining and splitting lists, sizes and
// times with units. Pure functions, any thread.
#pragma once

#include <fmt/core.h>

#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

namespace trireme {

// A format string of fmt that is checked at compile time: one {} per argument, and an explicit
// presentation for floating-point numbers and booleans ({:g}, {:.1f}, {:d}), whose default is
// rarely right for a message.
template <class... Args>
struct FormatString {
  // NOLINTNEXTLINE(google-explicit-constructor): a literal is the only argument.
  consteval FormatString(const char* literal) : checked(literal) {
    constexpr bool kNeedsPresentation[] = {(std::is_floating_point_v<std::remove_cvref_t<Args>> ||
                                            std::is_same_v<std::remove_cvref_t<Args>, bool>)...,
                                           false};
    size_t index = 0;
    for (const char* at = literal; *at != '\0'; ++at) {
      if (*at != '{' && *at != '}') continue;
      if (at[1] == *at) {  // {{ or }}
        ++at;
      } else if (*at == '{') {
        if (index >= sizeof...(Args)) throw "more {} than arguments";
        if (kNeedsPresentation[index] && at[1] == '}') throw "this argument needs a presentation";
        ++index;
      }
    }
    if (index != sizeof...(Args)) throw "fewer {} than arguments";
  }

  fmt::format_string<const Args&...> checked;
};

// format_text("rank {} of {}", 1, 4) == "rank 1 of 4".
template <class... Args>
std::string format_text(FormatString<std::type_identity_t<Args>...> format, const Args&... args) {
  return fmt::vformat(format.checked, fmt::make_format_args(args...));
}

// An integer, or a floating-point number with at most six digits.
template <class Number>
std::string format_number(Number value) {
  if constexpr (std::is_floating_point_v<Number>) {
    return format_text("{:g}", value);
  } else {
    return format_text("{}", value);
  }
}

// "a, b, c" of any range of printable values.
template <class Range>
std::string join(const Range& values, std::string_view separator = ", ") {
  std::string text;
  bool first = true;
  for (const auto& value : values) {
    if (!first) text += separator;
    text += fmt::format("{}", value);
    first = false;
  }
  return text;
}

// "1", "1 or 2", "1, 2, 4 or 8".
template <class Range>
std::string join_choices(const Range& values) {
  std::string text;
  size_t left = std::size(values);
  for (const auto& value : values) {
    text += format_text("{}", value);
    --left;
    if (left > 0) text += left == 1 ? " or " : ", ";
  }
  return text;
}

std::vector<std::string> split(std::string_view text, char separator);

// The text without the characters of `spaces` at both ends; a part of `text`.
std::string_view trimmed(std::string_view text, std::string_view spaces = " \t\r");

// A-Z as a-z; other bytes stay.
std::string ascii_lower(std::string_view text);

// "17.1 MiB": three digits and the binary unit.
std::string format_bytes(double bytes);

// "130 ms", "4.2 s", "3 min 20 s".
std::string format_seconds(double seconds);

// The candidate with the smallest edit distance to `word` (Levenshtein), or "" if all are farther
// than a third of its length (at least 2).
std::string nearest(std::string_view word, const std::vector<std::string>& candidates);

}  // namespace trireme
