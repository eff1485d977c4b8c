// Reads files of one JSON object per line, with line numbers for messages. "-" is standard input.
#pragma once

#include <nlohmann/json_fwd.hpp>
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

// The JSON value of a line. Numbers beyond a double are infinite or 0, as in Python, so that the
// range of their field can refuse them. TRI-RUN-040: not UTF-8; `id`: not JSON, the message ends
// with `remedy`.
StatusOr<nlohmann::ordered_json> parse_json_line(const std::string& line,
                                                 const char* id,
                                                 std::string_view remedy);

// The whole of a file or of standard input. TRI-RUN-001, TRI-RUN-002.
StatusOr<std::string> read_all(const std::string& path);

}  // namespace trireme
