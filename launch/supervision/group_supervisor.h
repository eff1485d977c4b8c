// Decides when each group is started: at once, also after the loss of one that had worked; else
// after a delay of 1 s that doubles up to 60 s with each further loss. A group that was ready for
// 60 s begins again at 1 s. Pure state machine over times given by the caller.
#pragma once

#include <optional>
#include <vector>

#include "base/clock.h"

namespace trireme {

class GroupSupervisor {
 public:
  explicit GroupSupervisor(int num_groups) : groups_(num_groups) {}

  // Returns the groups to start now and marks them as starting.
  std::vector<int> take_due(TimeUs now_us);
  void on_ready(int group, TimeUs now_us);
  // Returns the delay until the next start. `has_worked`: it had completed a step, so that its end
  // is not one that every start meets.
  TimeUs on_lost(int group, TimeUs now_us, bool has_worked = false);
  // Every group that starts or is ready is due at once, its delay unchanged: it did not fail
  // itself. Groups that wait for their start go on waiting.
  void restart_all(TimeUs now_us);

  // Groups that are ready are starting again, without a new process: they wait for a coordinator.
  void await_all(TimeUs now_us);

  bool is_ready(int group) const { return groups_[group].state == State::kReady; }
  bool is_starting(int group) const { return groups_[group].state == State::kStarting; }
  int num_ready() const;
  bool all_ready() const { return num_ready() == static_cast<int>(groups_.size()); }
  std::optional<TimeUs> next_start_us() const;

 private:
  enum class State : uint8_t { kDue, kStarting, kReady };
  struct Group {
    State state = State::kDue;
    TimeUs due_us = 0;
    TimeUs ready_us = 0;
    TimeUs delay_us = 0;  // of the last start
  };
  std::vector<Group> groups_;
};

}  // namespace trireme
