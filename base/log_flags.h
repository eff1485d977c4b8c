// The flags --log-level and --log-file, shared by all programs that log. Used once in main.
#pragma once

#include <string>

#include "base/flags.h"
#include "base/log.h"

namespace trireme {

struct LogFlags {
  std::string level = "info";
  std::string file;  // empty: stderr, or the default of the verb
};

inline void add_log_flags(FlagSet& flags, LogFlags& values, const std::string& group) {
  flags.add("log-level", &values.level, "debug, info, warning or error", group);
  flags.add("log-file", &values.file, "file that the log is appended to", group);
}

// TRI-ARGS-025, TRI-ARGS-026.
inline Status start_log(const std::string& process, const LogFlags& values) {
  ASSIGN_OR_RETURN(const LogLevel level, parse_log_level(values.level));
  return start_log({process, level, values.file});
}

}  // namespace trireme
