#include "launch/group_processes.h"

#include <algorithm>
#include <csignal>
#include <utility>

#include "base/log.h"
#include "base/text.h"

namespace trireme {

namespace {

constexpr TimeUs kFencedUs = 2'000'000;      // fenced ranks leave by themselves
constexpr TimeUs kTerminatedUs = 5'000'000;  // since retirement: SIGTERM did not end it
constexpr int kTerminateMs = 3'000;
constexpr int kPollMs = 200;

}  // namespace

Status GroupProcesses::launch(int group, const ProcessOptions& command) {
  GroupProcess next;
  ASSIGN_OR_RETURN(next.process, Process::start(command));
  next.launched_us = clock_.now_us();
  groups_[group] = std::move(next);
  return ok_status();
}

void GroupProcesses::add_descriptors(std::vector<pollfd>& waits) const {
  for (const GroupProcess& group : groups_) {
    if (!group.is_running()) continue;
    for (const int fd : group.process.descriptors()) waits.push_back({fd, POLLIN, 0});
  }
  for (const Retired& retired : retired_) {
    for (const int fd : retired.process.descriptors()) waits.push_back({fd, POLLIN, 0});
  }
}

void GroupProcesses::keep_line(int group, const std::string& line) {
  if (verbose_) listener_.note(format_text("group {} | {}", group, line));
  if (is_log_line(line)) return;  // the tail is searched for the cause of an end
  std::deque<std::string>& tail = groups_[group].tail;
  tail.push_back(line);
  if (tail.size() > kTailLines) tail.pop_front();
}

void GroupProcesses::read() {
  for (int i = 0; i < num_groups(); ++i) {
    GroupProcess& group = groups_[i];
    if (!group.is_running()) continue;
    const auto status = group.process.exit_status();
    std::vector<std::string> lines;
    group.process.read_lines(lines, lines);
    for (const std::string& line : lines) keep_line(i, line);
    if (status) group.ended_us = clock_.now_us();
  }
}

void GroupProcesses::forgive(TimeUs gap_us) {
  for (GroupProcess& group : groups_) {
    group.launched_us += gap_us;
    if (group.ended_us) *group.ended_us += gap_us;
  }
  for (Retired& retired : retired_) retired.since_us += gap_us;
}

void GroupProcesses::await_ranks() {
  for (GroupProcess& group : groups_) {
    if (!group.is_running()) continue;
    group.rank_seen = false;
    group.launched_us = clock_.now_us();
  }
}

void GroupProcesses::retire(int group) {
  GroupProcess old = std::exchange(groups_[group], {});
  if (old.is_running()) retired_.push_back({std::move(old.process), clock_.now_us(), false});
}

void GroupProcesses::retire_all() {
  for (int i = 0; i < num_groups(); ++i) retire(i);
  for (Retired& retired : retired_) {
    retired.process.signal_group(SIGTERM);
    retired.terminated = true;
  }
}

void GroupProcesses::reap_retired() {
  const TimeUs now_us = clock_.now_us();
  for (Retired& retired : retired_) {
    std::vector<std::string> ignored;
    retired.process.read_lines(ignored, ignored);
    if (now_us - retired.since_us > kFencedUs && !retired.terminated) {
      retired.process.signal_group(SIGTERM);
      retired.terminated = true;
    }
    if (now_us - retired.since_us > kTerminatedUs) retired.process.signal_group(SIGKILL);
  }
  std::erase_if(retired_,
                [](Retired& retired) { return retired.process.exit_status().has_value(); });
}

void GroupProcesses::wait_for_ends(int timeout_ms) {
  const TimeUs deadline_us = clock_.now_us() + timeout_ms * TimeUs{1000};
  const auto any_runs = [&] { return std::ranges::any_of(groups_, &GroupProcess::is_running); };
  read();
  while (any_runs() && clock_.now_us() < deadline_us) {
    std::vector<pollfd> waits;
    add_descriptors(waits);
    ::poll(waits.data(), waits.size(), kPollMs);
    read();
    reap_retired();
  }
}

void GroupProcesses::end_all(int patience_ms) {
  for (Retired& retired : retired_) retired.process.signal_group(SIGTERM);
  wait_for_ends(patience_ms);
  for (GroupProcess& group : groups_) group.process.signal_group(SIGTERM);
  wait_for_ends(kTerminateMs);
  groups_.clear();  // a Process that still runs is killed and reaped
  retired_.clear();
}

}  // namespace trireme
