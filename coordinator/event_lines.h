// What the coordinator tells `up` (or whoever reads its standard output): one JSON object a line,
// {"event": NAME, ...}. docs/formats.md lists them. Belongs to the loop's thread.
#pragma once

#include <cstdio>
#include <string>
#include <unordered_map>

#include "base/clock.h"
#include "base/status.h"
#include "coordinator/doors/worker_set.h"
#include "coordinator/doors/zmq_doors.h"

namespace trireme {

class EventLines {
 public:
  // `out` outlives the lines; null: nobody listens.
  explicit EventLines(std::FILE* out) : out_(out) {}

  void doors(const ZmqDoors& doors);
  void notice(const Notice& notice, TimeUs now_us);
  void say(const char* event);  // draining, drained, stopped
  void error(const Status& status);

 private:
  void write(const std::string& line);

  std::FILE* const out_;
  std::unordered_map<GroupId, TimeUs> last_loading_us_;
};

}  // namespace trireme
