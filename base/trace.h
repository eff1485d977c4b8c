// A timeline of spans in the Chrome trace format (chrome://tracing, Perfetto). Bounded: when it is
// full, later spans are counted and dropped. A null Trace* means tracing is off. Used by one
// thread.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/status.h"

namespace trireme {

class Trace {
 public:
  // `process` names the row, `process_id` orders the rows.
  Trace(std::string process, int process_id, size_t max_spans = 200'000);

  // `name` must outlive the trace (a literal). `track` is a line inside the row.
  void span(const char* name, int track, TimeUs begin_us, TimeUs end_us, int64_t step);

  // Writes {"traceEvents": [...]}. TRI-RUN-090: the file cannot be written.
  Status write(const std::string& path) const;
  // The events alone, a JSON object a line, so that several processes' files can be joined.
  Status write_lines(const std::string& path) const;

 private:
  struct Span {
    const char* name;
    int track;
    TimeUs begin_us;
    TimeUs end_us;
    int64_t step;
  };
  std::vector<std::string> events() const;

  std::string process_;
  int process_id_;
  size_t max_spans_;
  int64_t dropped_ = 0;
  std::vector<Span> spans_;
};

// Joins files of write_lines() into one trace.
Status join_traces(const std::vector<std::string>& parts, const std::string& path);

}  // namespace trireme
