// The coordinator's events for the process that started it, on standard output: one JSON object per
// line, {"event": NAME, ...}. docs/formats.md lists them; launch/supervision/coordinator_events.h
// reads them. Belongs to the loop's thread.
//
// Writing never blocks, whoever reads: lines that a full pipe does not take wait in a buffer of
// kMaxWaitingBytes. Where that is full, the oldest lines that only tell of progress are dropped,
// then the oldest of all.
#pragma once

#include <deque>
#include <string>
#include <unordered_map>

#include "base/clock.h"
#include "base/status.h"
#include "coordinator/doors/ranks/notices.h"
#include "coordinator/doors/transport.h"

namespace trireme {

class EventLines {
 public:
  static constexpr size_t kMaxWaitingBytes = 256 << 10;

  // `fd` outlives this object; -1: nothing is written.
  explicit EventLines(int fd) : fd_(fd) {}
  // Gives a reader that is slow up to a second for the lines that wait.
  ~EventLines();
  EventLines(const EventLines&) = delete;
  EventLines& operator=(const EventLines&) = delete;

  void doors(const DoorEndpoints& endpoints);
  void notice(const Notice& notice, TimeUs now_us);
  void say(const char* event);  // draining, drained, stopped
  void error(const Status& status);
  void no_chat(const Status& cause);  // completions go on
  // Several times per second: writes lines that wait, and "alive" every 5 s, by which the reader
  // sees that the loop runs.
  void tick(TimeUs now_us);

 private:
  enum class Kind : uint8_t { kProgress, kChange };
  struct Line {
    std::string text;
    Kind kind = Kind::kChange;
  };

  void write(const std::string& line, Kind kind = Kind::kChange);
  void drop_excess();
  // Writes what waits, as far as the reader takes it within `timeout_ms`.
  void flush(int timeout_ms);
  bool is_due(const notice::RankLoading& notice, TimeUs now_us);

  const int fd_;
  std::deque<Line> waiting_;
  size_t waiting_bytes_ = 0;
  size_t written_bytes_ = 0;  // of the first line that waits
  TimeUs next_alive_us_ = 0;
  std::unordered_map<GroupId, TimeUs> last_loading_us_;
};

}  // namespace trireme
