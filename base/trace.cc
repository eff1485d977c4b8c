#include "base/trace.h"

#include <cerrno>
#include <cstring>
#include <fstream>

#include "base/text.h"

namespace trireme {

namespace {

Status write_file(const std::string& path, const std::string& text) {
  std::ofstream file(path);
  file << text;
  file.close();
  if (file) return ok_status();
  return unavailable("TRI-RUN-090", "cannot write the trace {}: {}", path, std::strerror(errno));
}

}  // namespace

Trace::Trace(std::string process, int process_id, size_t max_spans)
    : process_(std::move(process)), process_id_(process_id), max_spans_(max_spans) {
  spans_.reserve(max_spans);
}

void Trace::span(const char* name, int track, TimeUs begin_us, TimeUs end_us, int64_t step) {
  if (spans_.size() >= max_spans_) {
    ++dropped_;
    return;
  }
  spans_.push_back({name, track, begin_us, end_us, step});
}

std::vector<std::string> Trace::events() const {
  std::vector<std::string> events;
  events.push_back(format_text(
      R"({{"ph":"M","name":"process_name","pid":{},"args":{{"name":"{}","dropped":{}}}}})",
      process_id_,
      process_,
      dropped_));
  for (const Span& span : spans_) {
    events.push_back(format_text(
        R"({{"ph":"X","name":"{}","pid":{},"tid":{},"ts":{},"dur":{},"args":{{"step":{}}}}})",
        span.name,
        process_id_,
        span.track,
        span.begin_us,
        span.end_us - span.begin_us,
        span.step));
  }
  return events;
}

Status Trace::write(const std::string& path) const {
  return write_file(path, format_text("{{\"traceEvents\":[\n{}\n]}}\n", join(events(), ",\n")));
}

Status Trace::write_lines(const std::string& path) const {
  return write_file(path, join(events(), "\n") + "\n");
}

Status join_traces(const std::vector<std::string>& parts, const std::string& path) {
  std::vector<std::string> events;
  for (const std::string& part : parts) {
    std::ifstream file(part);
    std::string line;
    while (std::getline(file, line)) {
      if (!line.empty()) events.push_back(line);
    }
  }
  return write_file(path, format_text("{{\"traceEvents\":[\n{}\n]}}\n", join(events, ",\n")));
}

}  // namespace trireme
