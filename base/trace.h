// A timeline of spans in the Chrome trace format (chrome://tracing, Perfetto). Bounded: a full
// trace drops and counts later spans. A null Trace* means that tracing is off. Used by one thread.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/status.h"

namespace trireme {

class Trace {
 public:
  // `process` is the title of this process in the timeline; `process_id` orders the processes.
  Trace(std::string process, int process_id, size_t max_spans = 200'000);

  // `name` must outlive the trace (a literal). `track` is one line of the process.
  void span(const char* name, int track, TimeUs begin_us, TimeUs end_us, int64_t step);

  // Writes {"traceEvents": [...]}. TRI-RUN-090: the file cannot be written.
  Status write(const std::string& path) const;
  // The events only, one JSON object per line, as input of join_traces(). TRI-RUN-090.
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

// Joins the files that several processes wrote by write_lines() into one trace. TRI-RUN-090.
Status join_traces(const std::vector<std::string>& parts, const std::string& path);

}  // namespace trireme
