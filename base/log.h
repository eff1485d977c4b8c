// Log lines on stderr: time, level, text. One line a call, safe from any thread.
#pragma once

#include <string>

namespace trireme {

enum class LogLevel : int { kDebug, kInfo, kWarning, kError };

// Sets the process's name at the head of each line and the least level that is written. Called once
// in main, before other threads start.
void start_log(const std::string& process, LogLevel least);

void log_debug(const std::string& text);
void log_info(const std::string& text);
void log_warning(const std::string& text);
void log_error(const std::string& text);

}  // namespace trireme
