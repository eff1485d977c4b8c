// The log of a process: one line per event, for people and for grep.
//
//   2026-01-31T08:15:02.123Z info coordinator event=group_ready group=0 epoch=3 pages=4096
//
// Values with spaces, quotes or control characters are quoted. A line is one write(2) of at most
// 4 KiB. A line that a full pipe does not take is dropped and counted: a pipe never blocks, a file
// only where its disk does. Any thread. It allocates, so it is not used on the path of a step.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <type_traits>

#include "base/clock.h"
#include "base/status.h"

namespace trireme {

enum class LogLevel : uint8_t { kDebug, kInfo, kWarning, kError };

// "debug", "info", "warning" or "error". TRI-ARGS-025: another name.
StatusOr<LogLevel> parse_log_level(std::string_view name);

struct LogOptions {
  std::string process;  // "coordinator", "rank"
  LogLevel level = LogLevel::kInfo;
  std::string file;  // appended to; several processes may share it. Empty: stderr
};

// Called by the program that starts the processes of a cluster, before they open the file that they
// share: a file above 16 MiB is renamed to FILE.1. TRI-ARGS-026: the file cannot be opened.
Status prepare_log_file(const std::string& path);

// Called once in main, before other threads start; earlier events are not written.
// TRI-ARGS-026: the file cannot be opened.
Status start_log(const LogOptions& options);

// A key and a value as text.
class LogField {
 public:
  LogField(std::string_view key, std::string_view value) : key_(key), value_(value) {}
  LogField(std::string_view key, const char* value) : key_(key), value_(value) {}
  LogField(std::string_view key, const std::string& value) : key_(key), value_(value) {}
  LogField(std::string_view key, const Status& value) : key_(key), value_(message_of(value)) {}
  LogField(std::string_view key, bool value) : key_(key), value_(value ? "true" : "false") {}
  template <class Number>
  requires std::is_arithmetic_v<Number> LogField(std::string_view key, Number value)
      : key_(key), value_(format_number(value)) {}

  std::string_view key() const { return key_; }
  std::string_view value() const { return value_; }

 private:
  std::string_view key_;
  std::string value_;
};

void log_event(LogLevel level, std::string_view event, std::initializer_list<LogField> fields = {});

// The text of a line after the name of the process:
//   event=group_lost group=0 cause="rank 1: ..."
std::string log_text(std::string_view event, std::initializer_list<LogField> fields);

// Whether a line of stderr was written by log_event().
bool is_log_line(std::string_view line);

// Rate limit for events that a peer can cause at will. One LogLimit belongs to one thread.
class LogLimit {
 public:
  explicit LogLimit(int per_second) : per_second_(per_second) {}

  // Whether to write an event at this time.
  bool allow(TimeUs now_us);
  // The number of refused events since the last call.
  int64_t take_suppressed();

 private:
  const int per_second_;
  TimeUs window_us_ = -1;  // start of the current second
  int in_window_ = 0;
  int64_t suppressed_ = 0;
};

}  // namespace trireme
