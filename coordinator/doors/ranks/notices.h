// Events in the life of a group, as WorkerSet reports them: for `up` (event_lines.h), the log
// (coordinator_log.h) and, of those that change what can run, the Engine (to_event below).
#pragma once

#include <cstdint>
#include <string>
#include <variant>

#include "base/status.h"
#include "coordinator/engine/events.h"
#include "proto/step_messages.h"

namespace trireme {

namespace notice {
struct RankSeen {
  GroupId group = 0;
  int32_t rank = 0;
  std::string host;
  int64_t pid = 0;
};
struct RankLoading {  // sums over the ranks of the group that have come
  GroupId group = 0;
  int64_t loaded_bytes = 0;
  int64_t total_bytes = 0;
};
struct RankLoaded {
  RankHello hello;
};
struct GroupReady {
  GroupShape shape;
  int32_t tp = 1;
  int32_t pp = 1;
  RankHello hello;              // of rank 0
  int32_t asked_model_len = 0;  // larger than the shape's: lowered to the length that fits
};
// A group ended its epoch. Also told of a single rank that was refused a seat or failed before it
// had one: then no group is lost and `epoch` is 0.
struct GroupLost {
  GroupId group = 0;
  uint64_t epoch = 0;
  int32_t rank = -1;  // -1: no single rank is to blame
  std::string host;   // of `rank`
  std::string phase;  // of `rank` when it was last heard
  Status cause;
  bool was_ready = false;
  bool memory = false;       // it had too little memory
  int64_t steps = 0;         // completed in this epoch, without canaries
  int64_t crashed_step = 0;  // in which a fatal signal came to `rank`; 0: none did
};
}  // namespace notice
using Notice = std::variant<notice::RankSeen,
                            notice::RankLoading,
                            notice::RankLoaded,
                            notice::GroupReady,
                            notice::GroupLost>;

// The only makers of these two events.
inline event::GroupReady to_event(const notice::GroupReady& notice) { return {notice.shape}; }
inline event::GroupLost to_event(const notice::GroupLost& notice) {
  return {notice.group, notice.epoch, notice.cause, notice.crashed_step};
}

}  // namespace trireme
