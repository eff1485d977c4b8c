#include "base/flag_values.h"

#include <algorithm>
#include <cctype>

namespace trireme {
namespace {

struct Suffix {
  const char* text;
  double factor;
};

constexpr double kKibi = 1024;
constexpr Suffix kSizes[] = {{"", 1},
                             {"b", 1},
                             {"k", kKibi},
                             {"kib", kKibi},
                             {"kb", 1e3},
                             {"m", kKibi* kKibi},
                             {"mib", kKibi* kKibi},
                             {"mb", 1e6},
                             {"g", kKibi* kKibi* kKibi},
                             {"gib", kKibi* kKibi* kKibi},
                             {"gb", 1e9},
                             {"t", kKibi* kKibi* kKibi* kKibi},
                             {"tib", kKibi* kKibi* kKibi* kKibi},
                             {"tb", 1e12}};
constexpr Suffix kLengths[] = {{"", 1}, {"k", kKibi}, {"m", kKibi* kKibi}};

template <size_t n>
StatusOr<int64_t> parse_scaled(const std::string& text,
                               const Suffix (&suffixes)[n],
                               const char* example) {
  double value = 0;
  const auto [rest, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  std::string suffix(rest, text.data() + text.size());
  std::transform(suffix.begin(), suffix.end(), suffix.begin(), ::tolower);
  for (const Suffix& row : suffixes) {
    if (error == std::errc() && suffix == row.text && value >= 0 && value * row.factor < 9e18) {
      return static_cast<int64_t>(value * row.factor);
    }
  }
  return invalid(
      "TRI-ARGS-003", "\"{}\" is not a number with a known unit; write it like {}", text, example);
}

}  // namespace

StatusOr<bool> parse_switch(const std::string& text) {
  if (text == "true" || text == "1" || text == "yes" || text == "on") return true;
  if (text == "false" || text == "0" || text == "no" || text == "off") return false;
  return invalid("TRI-ARGS-003", "\"{}\" is neither true nor false", text);
}

StatusOr<int64_t> parse_size(const std::string& text) {
  return parse_scaled(text, kSizes, "512MiB or 80GiB");
}

StatusOr<int64_t> parse_length(const std::string& text) {
  return parse_scaled(text, kLengths, "4096 or 32k");
}

}  // namespace trireme
