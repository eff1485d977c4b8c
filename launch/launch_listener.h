// Receives the messages of a Cluster for a terminal, a test or a program. Called inside calls of
// Cluster, in the caller's thread.
#pragma once

#include <cstdint>
#include <string>

#include "launch/supervision/coordinator_events.h"

namespace trireme {

class LaunchListener {
 public:
  virtual ~LaunchListener() = default;

  // One line of information, or of warning.
  virtual void note(const std::string& text) = 0;
  virtual void warn(const std::string& text) = 0;
  // Bytes of weights that the ranks of all groups have loaded, of the total.
  virtual void progress(int64_t loaded_bytes, int64_t total_bytes) = 0;
  // The first start has succeeded or failed; progress() is not called again.
  virtual void progress_ended() = 0;
  // Every event of a group, after the cluster has handled it.
  virtual void on_event(const CoordinatorEvent& /*event*/) {}
  // The coordinator has ended, for `cause`, and starts again after `delay_ms`.
  virtual void on_coordinator_lost(const std::string& /*cause*/, int64_t /*delay_ms*/) {}
  // It has started again and takes requests.
  virtual void on_coordinator_back(const CoordinatorEvent& /*doors*/) {}
};

}  // namespace trireme
