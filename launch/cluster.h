// A cluster that this process brought up: a coordinator and one mpirun a group, its children.
// Starts groups again when they are lost. `up` lives in it; `run`, `verify` and `bench` make a
// private one. Used by the main thread; nothing happens but inside its calls. Invariant: when it
// goes out of scope no child is left and a private folder is gone.
#pragma once

#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/status.h"
#include "launch/coordinator_events.h"
#include "launch/group_supervisor.h"
#include "launch/launch_listener.h"
#include "launch/preflight.h"
#include "launch/process.h"

namespace trireme {

struct ClusterOptions {
  ClusterFlags flags;
  bool is_private = false;  // for one job; without --state it has a temporary folder
  bool allow_probes = false;
  bool limit_vocabulary = true;  // never draw ids beyond the tokenizer
};

class Cluster {
 public:
  // Starts the coordinator and waits for its doors. TRI-UP-010: the coordinator cannot start (its
  // own message follows), TRI-UP-008 and TRI-UP-020. The references outlive the cluster.
  static StatusOr<std::unique_ptr<Cluster>> start(const ClusterOptions& options,
                                                  const Preflight& preflight,
                                                  LaunchListener& listener,
                                                  Interrupts& interrupts);
  ~Cluster();

  const std::string& endpoint() const { return doors_.client_endpoint; }

  // Launches the groups and waits until all can answer. TRI-UP-011: a group could not start (rank,
  // host and cause); TRI-UP-012: nobody came in time; TRI-UP-013: interrupted.
  Status wait_until_ready();

  // Handles what has happened, waiting at most so long for the first thing. TRI-UP-014: the
  // coordinator is gone.
  Status pump(int timeout_ms);

  // Ends it: after the running requests (drain), or now. The children's end is waited for.
  Status drain();
  void stop();

 private:
  struct Group {
    Process process;
    TimeUs launched_us = 0;
    bool rank_seen = false;
    std::optional<TimeUs> ended_us;  // mpirun's end was seen
    std::deque<std::string> tail;    // its last lines
  };
  struct Retired {  // an mpirun of an earlier life of a group
    Process process;
    TimeUs since_us = 0;
    bool killed = false;
  };

  Cluster(const ClusterOptions& options,
          const Preflight& preflight,
          LaunchListener& listener,
          Interrupts& interrupts);
  Status make_state_folder();
  Status start_coordinator();
  Status wait_for_doors();
  Status launch_due();
  Status launch(int index);
  void poll_children(int timeout_ms);
  void read_coordinator();
  void read_groups();
  void keep_line(Group& group, int index, const std::string& line);
  void on_event(const CoordinatorEvent& event);
  void on_ready(const CoordinatorEvent& event);
  void on_lost(const CoordinatorEvent& event);
  void retire(Group& group);
  void reap_retired();
  void check_silent_groups();
  Status coordinator_gone();
  Status start_failure(int index, const CoordinatorEvent* event);
  void end_children(int patience_ms);
  Status join_traces();

  const ClusterOptions options_;
  const Preflight& preflight_;
  LaunchListener& listener_;
  Interrupts& interrupts_;
  SteadyClock clock_;
  std::string state_;
  std::string log_file_;        // of all processes; empty: stderr
  bool has_own_state_ = false;  // goes with the cluster
  std::string worker_key_;
  Process coordinator_;
  std::vector<std::string> coordinator_tail_;
  CoordinatorEvent doors_;
  bool doors_open_ = false;
  bool drained_ = false;
  bool ending_ = false;
  bool was_ready_ = false;  // every group, once
  GroupSupervisor supervisor_;
  std::vector<Group> groups_;
  std::vector<Retired> retired_;
  std::optional<Status> failure_;  // before the first ready
};

}  // namespace trireme
