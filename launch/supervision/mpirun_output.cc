#include "launch/supervision/mpirun_output.h"

#include <algorithm>
#include <array>
#include <regex>
#include <string_view>
#include <utility>

#include "base/log.h"
#include "base/text.h"

namespace trireme {

namespace {

using Lines = std::vector<std::string>;

constexpr size_t kMaxCauseBytes = 400;
constexpr size_t kLastLines = 10;

// Words of lines that name a cause: of the dynamic loader, ssh, the shell, libraries and MPI.
constexpr std::array<std::string_view, 22> kTelling = {"error while loading shared libraries",
                                                       "symbol lookup error",
                                                       "' not found (required by",
                                                       "cannot be selected",
                                                       "unable to find network interfaces",
                                                       "The system limit on",
                                                       "xec format error",
                                                       "cannot execute",
                                                       "Permission denied",
                                                       "ssh: ",
                                                       "Host key verification failed",
                                                       "Could not resolve hostname",
                                                       "Connection refused",
                                                       "No route to host",
                                                       "command not found",
                                                       "No space left on device",
                                                       "Too many open files",
                                                       "Read-only file system",
                                                       "Cannot allocate memory",
                                                       "Resource temporarily unavailable",
                                                       "CHECK failed",
                                                       "terminate called"};

// Beginnings of mpirun's messages that follow from another, and of its warnings.
constexpr std::array<std::string_view, 15> kFollowing = {"Primary job",
                                                         "An internal error has occurred",
                                                         "mpirun has exited",
                                                         "mpirun detected",
                                                         "mpirun noticed",
                                                         "prterun has exited",
                                                         "prterun detected",
                                                         "prterun noticed",
                                                         "It looks like",
                                                         "An error occurred in MPI",
                                                         "*** ",
                                                         "WARNING",
                                                         "ORTE has lost communication",
                                                         "PRTE has lost communication",
                                                         "MPI_ABORT was invoked"};

bool is_frame(const std::string& line) {
  return !line.empty() && line.find_first_not_of("-=*") == std::string::npos;
}

// Lines of mpirun that repeat or count others.
bool is_echo(const std::string& line) {
  return line.find("sent help message") != std::string::npos ||
         line.find("Set MCA parameter \"orte_base_help") != std::string::npos ||
         line.find("Set MCA parameter \"prte_base_help") != std::string::npos;
}

// The lines without the log's and without repetitions, without spaces round them.
Lines clean(const std::deque<std::string>& lines) {
  Lines kept;
  for (const std::string& line : lines) {
    if (!is_log_line(line) && !is_echo(line)) kept.emplace_back(trimmed(line));
  }
  return kept;
}

// The first "TRI-..." of a rank: `echo` selects those that follow from another rank's end.
std::string words_of_rank(const Lines& lines, bool echo) {
  for (const std::string& line : lines) {
    const size_t at = line.find("TRI-");
    if (at == std::string::npos) continue;
    std::string words = line.substr(at);
    const bool follows = words.starts_with("TRI-GRP-019") || words.starts_with("TRI-GRP-013");
    if (follows == echo) return words;
  }
  return "";
}

std::string death_by_signal(const Lines& lines) {
  static const std::regex kSignal(
      "process rank (\\d+) with PID \\d+ on node (\\S+) (exited on signal .*)");
  std::smatch match;
  const std::string joined = join(lines, " ");
  if (!std::regex_search(joined, match, kSignal)) return "";
  const std::string rest = match[3].str();
  return format_text("rank {} on {} {}",
                     match[1].str(),
                     match[2].str(),
                     rest.substr(0, rest.find_first_of(".\n")));
}

// mpirun's framed messages, and the lines outside of them.
struct Output {
  std::vector<Lines> messages;
  Lines others;
};

Output sort_output(const Lines& lines) {
  Output output;
  Lines message;
  bool inside = false;
  const auto says = [](const std::string& line) { return !line.empty(); };
  for (const std::string& line : lines) {
    if (!is_frame(line)) {
      (inside ? message : output.others).push_back(line);
    } else if (std::ranges::any_of(message, says)) {
      output.messages.push_back(std::exchange(message, {}));
      inside = false;
    } else {
      inside = true;
    }
  }
  return output;
}

std::string telling_line(const Lines& lines) {
  const auto found = std::ranges::find_if(lines, [](const std::string& line) {
    return std::ranges::any_of(
        kTelling, [&](std::string_view words) { return line.find(words) != std::string::npos; });
  });
  return found == lines.end() ? "" : *found;
}

// "Local host: n1" of "  Local host:  n1"; "" where the line is no field.
std::string field_of(const std::string& line) {
  static const std::regex kField("([A-Za-z][A-Za-z _/-]{0,30}):\\s+(\\S.*)");
  std::smatch match;
  if (!std::regex_match(line, match, kField)) return "";
  return format_text("{}: {}", match[1].str(), match[2].str());
}

// The first sentence of a message and its fields, on one line. A sentence that ends with a colon is
// continued by what follows it.
std::string summary_of(const Lines& message) {
  std::string text;
  Lines fields;
  bool is_over = false;
  for (const std::string& line : message) {
    if (const std::string field = field_of(line); !text.empty() && !field.empty()) {
      fields.push_back(field);
      is_over = true;
    }
    is_over =
        is_over || text.ends_with(".") || (line.empty() && !text.empty() && !text.ends_with(":"));
    if (is_over || line.empty()) continue;
    text += (text.empty() ? "" : " ") + line;
    if (const size_t end = text.find(". "); end != std::string::npos) {
      text.resize(end + 1);
      is_over = true;
    }
  }
  if (!fields.empty()) text += format_text(" {}", join(fields, ", "));
  return text;
}

bool follows(const Lines& message) {
  const auto first =
      std::ranges::find_if(message, [](const std::string& line) { return !line.empty(); });
  return first == message.end() || std::ranges::any_of(kFollowing, [&](std::string_view words) {
           return first->starts_with(words);
         });
}

std::string first_of(const std::vector<Lines>& messages) {
  const auto found = std::ranges::find_if_not(messages, follows);
  return found == messages.end() ? "" : summary_of(*found);
}

}  // namespace

std::string cause_in_output(const std::deque<std::string>& all) {
  const Lines lines = clean(all);
  const Output output = sort_output(lines);
  const std::string telling = telling_line(output.others);
  std::string death = death_by_signal(lines);
  if (!death.empty() && !telling.empty()) death += format_text(": {}", telling);
  for (const std::string& cause : {death,
                                   words_of_rank(lines, /*echo=*/false),
                                   telling,
                                   first_of(output.messages),
                                   words_of_rank(lines, /*echo=*/true)}) {
    if (!cause.empty()) return cause.substr(0, kMaxCauseBytes);
  }
  return "";
}

std::vector<std::string> last_lines_of_output(const std::deque<std::string>& all) {
  Lines lines = clean(all);
  std::erase_if(lines, [](const std::string& line) { return line.empty() || is_frame(line); });
  const size_t shown = std::min(lines.size(), kLastLines);
  return {lines.end() - static_cast<std::ptrdiff_t>(shown), lines.end()};
}

std::string describe_output(const std::deque<std::string>& all,
                            const std::string& otherwise,
                            const std::string& advice) {
  const std::string cause = cause_in_output(all);
  if (!cause.empty()) return cause + advice;
  const Lines last = last_lines_of_output(all);
  if (last.empty()) return otherwise + advice;
  return format_text("{}{}; its last lines are:\n  {}", otherwise, advice, join(last, "\n  "));
}

}  // namespace trireme
