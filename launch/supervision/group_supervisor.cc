#include "launch/supervision/group_supervisor.h"

#include <algorithm>

#include "launch/supervision/restart_delays.h"

namespace trireme {

namespace {

constexpr TimeUs kProvenReadyUs = 60'000'000;  // after this time in ready the delay starts over

}  // namespace

std::vector<int> GroupSupervisor::take_due(TimeUs now_us) {
  std::vector<int> due;
  for (size_t i = 0; i < groups_.size(); ++i) {
    Group& group = groups_[i];
    if (group.state != State::kDue || group.due_us > now_us) continue;
    group.state = State::kStarting;
    due.push_back(static_cast<int>(i));
  }
  return due;
}

void GroupSupervisor::on_ready(int group, TimeUs now_us) {
  groups_[group].state = State::kReady;
  groups_[group].ready_us = now_us;
}

TimeUs GroupSupervisor::on_lost(int index, TimeUs now_us, bool has_worked) {
  Group& group = groups_[index];
  const bool proven = group.state == State::kReady && now_us - group.ready_us >= kProvenReadyUs;
  if (proven || has_worked) group.delay_us = 0;
  if (!has_worked) {
    group.delay_us = std::clamp(2 * group.delay_us, kFirstRestartDelayUs, kLongestRestartDelayUs);
  }
  group.state = State::kDue;
  group.due_us = now_us + group.delay_us;
  return group.delay_us;
}

void GroupSupervisor::restart_all(TimeUs now_us) {
  for (Group& group : groups_) {
    if (group.state == State::kDue) continue;
    group.state = State::kDue;
    group.due_us = now_us;
  }
}

void GroupSupervisor::await_all(TimeUs now_us) {
  for (Group& group : groups_) {
    if (group.state != State::kReady) continue;
    group.state = State::kStarting;
    if (now_us - group.ready_us >= kProvenReadyUs) group.delay_us = 0;
  }
}

int GroupSupervisor::num_ready() const {
  return static_cast<int>(std::ranges::count_if(
      groups_, [](const Group& group) { return group.state == State::kReady; }));
}

std::optional<TimeUs> GroupSupervisor::next_start_us() const {
  std::optional<TimeUs> next;
  for (const Group& group : groups_) {
    if (group.state == State::kDue && (!next || group.due_us < *next)) next = group.due_us;
  }
  return next;
}

}  // namespace trireme
