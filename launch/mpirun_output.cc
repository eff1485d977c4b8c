#include "launch/mpirun_output.h"

#include <regex>

#include "base/log.h"
#include "base/text.h"

namespace trireme {

namespace {

// Decoration and introductory lines of mpirun's help texts.
bool is_frame(const std::string& line) {
  return line.empty() || line.find_first_not_of("-=* ") == std::string::npos ||
         line.starts_with("Primary job  terminated") || line.starts_with("mpirun has exited");
}

// The first "TRI-..." of a rank, preferably one that does not follow from another rank's end.
std::string own_words(const std::deque<std::string>& lines) {
  std::string echo;
  for (const std::string& line : lines) {
    const size_t at = line.find("TRI-");
    if (at == std::string::npos || is_log_line(line)) continue;
    std::string words = line.substr(at);
    if (!words.starts_with("TRI-GRP-019") && !words.starts_with("TRI-GRP-013")) return words;
    if (echo.empty()) echo = words;
  }
  return echo;
}

}  // namespace

std::string cause_in_output(const std::deque<std::string>& lines) {
  static const std::regex kSignal(
      "process rank (\\d+) with PID \\d+ on node (\\S+) (exited on signal .*)");
  std::string last;
  std::string first;
  std::string joined;
  for (const std::string& line : lines) {
    if (is_frame(line) || is_log_line(line)) continue;
    if (first.empty()) first = line;
    last = line;
    joined += line + " ";
  }
  std::smatch match;
  if (std::regex_search(joined, match, kSignal)) {
    const std::string rest = match[3].str();
    return format_text("rank {} on {} {}",
                       match[1].str(),
                       match[2].str(),
                       rest.substr(0, rest.find_first_of(".\n")));
  }
  if (std::string words = own_words(lines); !words.empty()) return words;
  if (first.starts_with("There are not enough slots") || first.starts_with("mpirun was unable")) {
    return joined.substr(0, 300);
  }
  return last;
}

}  // namespace trireme
