// Lines of standard input for a program that must not block in a read: it also watches signals and
// a connection. Main thread.
#pragma once

#include <optional>
#include <string>

#include "base/status.h"

namespace trireme {

class LineReader {
 public:
  // Reads the descriptor `input`, and returns early when `signals` becomes readable.
  LineReader(int input, int signals) : input_(input), signals_(signals) {}

  // The next line without its end, or nothing within `timeout_ms`. TRI-RUN-001: cannot be read;
  // TRI-RUN-002: a line is too long.
  StatusOr<std::optional<std::string>> next(int timeout_ms);
  // The input is over, and all its lines were returned.
  bool at_end() const { return at_end_ && buffer_.empty(); }

 private:
  std::optional<std::string> take_line();
  Status read_more();

  const int input_;
  const int signals_;
  std::string buffer_;
  size_t searched_ = 0;  // bytes of the buffer without the end of a line
  bool at_end_ = false;
};

}  // namespace trireme
