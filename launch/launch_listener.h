// The watcher of a launch: a terminal, a test, a program. Every call is made inside a call of
// Cluster, in the caller's thread.
#pragma once

#include <cstdint>
#include <string>

#include "launch/coordinator_events.h"

namespace trireme {

class LaunchListener {
 public:
  virtual ~LaunchListener() = default;

  // One line of information, or of warning.
  virtual void note(const std::string& text) = 0;
  virtual void warn(const std::string& text) = 0;
  // Bytes of weights that the ranks of all groups have loaded, and their total.
  virtual void progress(int64_t loaded_bytes, int64_t total_bytes) = 0;
  // The first start is over, well or not: progress() is not called again.
  virtual void progress_ended() = 0;
  // Every event of a group, after the cluster has handled it.
  virtual void on_event(const CoordinatorEvent& /*event*/) {}
};

}  // namespace trireme
