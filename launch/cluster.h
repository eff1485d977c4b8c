// A cluster started by this process: its children are the coordinator and one mpirun per group.
// Restarts groups that are lost. `up` serves through one; `run`, `verify` and `bench` start a
// private one for their job. Main thread only; all work happens inside calls.
// Invariant: after the destructor no child is left and a temporary state folder is removed.
#pragma once

#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/standstill.h"
#include "base/status.h"
#include "launch/coordinator_events.h"
#include "launch/group_processes.h"
#include "launch/group_supervisor.h"
#include "launch/launch_listener.h"
#include "launch/preflight.h"
#include "launch/process.h"
#include "launch/state_folder.h"

namespace trireme {

struct ClusterOptions {
  ClusterFlags flags;
  bool is_private = false;       // started for one job; the default state folder is temporary
  bool allow_probes = false;     // clients may read logits and hidden states
  bool limit_vocabulary = true;  // never draw ids that the tokenizer does not have
};

class Cluster {
 public:
  // Starts the coordinator and waits up to 10 s for its doors. TRI-UP-008: a host does not answer;
  // TRI-UP-010: the coordinator cannot start (its own message follows); TRI-UP-013: interrupted;
  // TRI-UP-015, TRI-UP-016: state folder; TRI-UP-020. The references outlive the cluster.
  static StatusOr<std::unique_ptr<Cluster>> start(const ClusterOptions& options,
                                                  const Preflight& preflight,
                                                  LaunchListener& listener,
                                                  Interrupts& interrupts);
  ~Cluster();

  const std::string& endpoint() const { return doors_.client_endpoint; }

  // Launches the groups and waits until all are ready. TRI-UP-011: a group could not start (names
  // rank, host and cause); TRI-UP-012: no rank connected in time; TRI-UP-013: interrupted.
  Status wait_until_ready();

  // Handles output and ends of children and starts groups that are due; waits up to `timeout_ms`
  // for the first of these. TRI-UP-014: the coordinator has ended.
  Status pump(int timeout_ms);

  // Both end the cluster and wait for the children. drain() lets running requests finish first; a
  // second interrupt ends it with TRI-UP-013. stop() cuts them off.
  Status drain();
  void stop();

 private:
  Cluster(const ClusterOptions& options,
          const Preflight& preflight,
          LaunchListener& listener,
          Interrupts& interrupts);
  void use_default_log_file();
  Status start_coordinator();
  Status wait_for_doors();
  Status launch_due();
  Status launch(int index);
  void poll_children(int timeout_ms);
  void read_coordinator();
  void on_event(const CoordinatorEvent& event);
  void on_ready(const CoordinatorEvent& event);
  void on_lost(const CoordinatorEvent& event);
  void check_silent_groups();
  // Error for the end of the coordinator: TRI-UP-010 or TRI-UP-014, with its last error line.
  Status coordinator_gone();
  // Error for a group that did not start: TRI-UP-011 or TRI-UP-012, with the cause from mpirun's
  // output. `event`: the coordinator's group_lost event; null: there was none.
  Status start_failure(int index, const CoordinatorEvent* event);
  Status join_traces();

  const ClusterOptions options_;
  const Preflight& preflight_;
  LaunchListener& listener_;
  Interrupts& interrupts_;
  SteadyClock clock_;
  Standstill standstill_;
  StateFolder state_;
  std::string log_file_;  // shared by coordinator and ranks; "": stderr
  std::string worker_key_;
  Process coordinator_;
  std::deque<std::string> coordinator_tail_;  // last lines of its stderr, log lines excepted
  CoordinatorEvent doors_;
  bool doors_open_ = false;
  bool drained_ = false;
  bool ending_ = false;
  bool was_ready_ = false;  // all groups have been ready at once
  GroupSupervisor supervisor_;
  GroupProcesses groups_;
  std::optional<Status> failure_;  // first error before was_ready_
};

}  // namespace trireme
