// When to start each group: at once; after a loss with a delay of 1 s, which doubles up to 60 s
// until the group has been ready for a minute. Pure: times in, group numbers out.
#pragma once

#include <optional>
#include <vector>

#include "base/clock.h"

namespace trireme {

class GroupSupervisor {
 public:
  explicit GroupSupervisor(int num_groups) : groups_(num_groups) {}

  // The groups to start now; they count as starting from here on.
  std::vector<int> take_due(TimeUs now_us);
  void on_ready(int group, TimeUs now_us);
  // Returns the delay until the next start.
  TimeUs on_lost(int group, TimeUs now_us);

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
