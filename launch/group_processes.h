// Child processes of the groups: each group's running mpirun (or its single process), and those of
// earlier epochs until they have ended. Owned by Cluster, main thread.
// Invariant: after end_all() no child is left.
#pragma once

#include <poll.h>

#include <deque>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/status.h"
#include "launch/launch_listener.h"
#include "launch/process/process.h"

namespace trireme {

struct GroupProcess {
  Process process;
  TimeUs launched_us = 0;          // or since when its ranks can reach the present coordinator
  bool rank_seen = false;          // a rank has connected to the coordinator
  std::optional<TimeUs> ended_us;  // when the process was found to have ended
  std::deque<std::string> tail;    // last output lines, log lines excepted

  bool is_running() const { return process.started() && !ended_us; }
};

class GroupProcesses {
 public:
  // `verbose`: every output line goes to listener.note(). The listener outlives this object.
  GroupProcesses(int num_groups, bool verbose, LaunchListener& listener)
      : groups_(num_groups), verbose_(verbose), listener_(listener) {}

  int num_groups() const { return static_cast<int>(groups_.size()); }
  GroupProcess& operator[](int group) { return groups_[group]; }

  // Starts the process of a group's next epoch. TRI-UP-020.
  Status launch(int group, const ProcessOptions& command);

  // Descriptors that become readable when a running group or a retired process prints or ends.
  void add_descriptors(std::vector<pollfd>& waits) const;
  // Reads all output that has arrived and notes which processes have ended. Does not wait.
  void read();

  // Moves the recorded times by a gap in which this process stood still.
  void forgive(TimeUs gap_us);

  // The coordinator is another one: ranks of running groups have yet to connect to it.
  void await_ranks();

  // Frees the group's place for its next epoch. The old process has 2 s to end by itself, then gets
  // SIGTERM, and SIGKILL after 5 s; reap_retired() sends these.
  void retire(int group);
  // Frees the places of all groups, whose coordinator has ended: SIGTERM at once.
  void retire_all();
  void reap_retired();
  bool has_retired() const { return !retired_.empty(); }

  // Ends every process: waits up to `patience_ms`, sends SIGTERM, waits up to 3 s, kills.
  void end_all(int patience_ms);

 private:
  struct Retired {
    Process process;
    TimeUs since_us = 0;
    bool terminated = false;  // SIGTERM was sent
  };

  void keep_line(int group, const std::string& line);
  void wait_for_ends(int timeout_ms);

  SteadyClock clock_;
  std::vector<GroupProcess> groups_;
  std::vector<Retired> retired_;
  const bool verbose_;
  LaunchListener& listener_;
};

}  // namespace trireme
