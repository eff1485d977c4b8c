// The coordinator's events for the process that started it, on standard output: one JSON object per
// line, {"event": NAME, ...}. docs/formats.md lists them; launch/coordinator_events.h reads them.
// Belongs to the loop's thread.
#pragma once

#include <cstdio>
#include <string>
#include <unordered_map>

#include "base/clock.h"
#include "base/status.h"
#include "coordinator/doors/notices.h"
#include "coordinator/doors/transport.h"

namespace trireme {

class EventLines {
 public:
  // `out` outlives this object; null: nothing is written.
  explicit EventLines(std::FILE* out) : out_(out) {}

  void doors(const DoorEndpoints& endpoints);
  void notice(const Notice& notice, TimeUs now_us);
  void say(const char* event);  // draining, drained, stopped
  void error(const Status& status);

 private:
  void write(const std::string& line);
  bool is_due(const notice::RankLoading& notice, TimeUs now_us);

  std::FILE* const out_;
  std::unordered_map<GroupId, TimeUs> last_loading_us_;
};

}  // namespace trireme
