// Reads files of one JSON object per line, with line numbers for messages. "-" is standard input.
#pragma once

#include <string>
#include <vector>

#include "base/status.h"

namespace trireme {

struct NumberedLine {
  int64_t number = 0;  // from 1
  std::string text;
};

// All lines that are not blank, without a byte order mark of UTF-8. TRI-RUN-001: cannot be read;
// TRI-RUN-002: longer than 1 GiB.
StatusOr<std::vector<NumberedLine>> read_lines(const std::string& path);

// The whole of a file or of standard input. TRI-RUN-001, TRI-RUN-002.
StatusOr<std::string> read_all(const std::string& path);

}  // namespace trireme
