// Small string work: joining values into a sentence, splitting lists, sizes with units.
#pragma once

#include <sstream>
#include <string>
#include <string_view>
#include <vector>

namespace trireme {

// The values, printed one after the other: concat("needs ", 3, " pages").
template <class... Parts>
std::string concat(const Parts&... parts) {
  std::ostringstream out;
  (out << ... << parts);
  return out.str();
}

// "a, b, c" of any range of printable values.
template <class Range>
std::string join(const Range& values, std::string_view separator = ", ") {
  std::ostringstream out;
  bool first = true;
  for (const auto& value : values) {
    if (!first) out << separator;
    out << value;
    first = false;
  }
  return out.str();
}

// "1", "1 or 2", "1, 2, 4 or 8".
template <class Range>
std::string join_choices(const Range& values) {
  std::string text;
  size_t left = std::size(values);
  for (const auto& value : values) {
    text += concat(value);
    --left;
    if (left > 0) text += left == 1 ? " or " : ", ";
  }
  return text;
}

std::vector<std::string> split(std::string_view text, char separator);

// "17.1 MiB": three digits and the binary unit.
std::string format_bytes(double bytes);

// "130 ms", "4.2 s", "3 min 20 s".
std::string format_seconds(double seconds);

// The candidate with the smallest edit distance to `word`, or "" if none is near (a third of it).
std::string nearest(std::string_view word, const std::vector<std::string>& candidates);

}  // namespace trireme
