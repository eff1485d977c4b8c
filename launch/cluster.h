// A cluster started by this process: its children are the coordinator, one mpirun per group and at
// most one gateway. Restarts a lost group or gateway and, once it was ready, a coordinator that has
// ended: its groups wait for the next one where there is a journal, else they end with it. `up`
// serves through one; `run`, `verify`, `chat` and `bench` start a private one for their job. Main
// thread only; all work happens inside calls. Invariant: after the destructor no child is left and
// a temporary state folder is removed.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/standstill.h"
#include "base/status.h"
#include "launch/checks/preflight.h"
#include "launch/coordinator_process.h"
#include "launch/gateway_process.h"
#include "launch/group_processes.h"
#include "launch/launch_listener.h"
#include "launch/process/process.h"
#include "launch/process/state_folder.h"
#include "launch/supervision/coordinator_events.h"
#include "launch/supervision/group_supervisor.h"

namespace trireme {

struct ClusterOptions {
  ClusterFlags flags;
  std::optional<GatewayFlags> gateway;  // nothing: no HTTP
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

  const std::string& endpoint() const { return coordinator_.doors().client_endpoint; }
  std::string http_url() const { return gateway_ ? gateway_->url() : ""; }  // "": no gateway

  // Launches the groups and waits until all are ready. TRI-UP-011: a group could not start (names
  // rank, host and cause); TRI-UP-012: no rank connected in time; TRI-UP-013: interrupted;
  // TRI-UP-021, TRI-UP-022, or the gateway's own error: it cannot listen.
  Status wait_until_ready();

  // Handles output and ends of children and starts groups that are due; waits up to `timeout_ms`
  // for the first of these. TRI-UP-014, or the coordinator's own error: it has ended and does not
  // start again.
  Status pump(int timeout_ms);
  // The coordinator was told by others to drain, and has: nothing is left but drain().
  bool has_drained() const { return coordinator_.has_drained(); }

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
  void check_journal_room();
  bool keeps_journal() const;
  Status start_coordinator();
  Status wait_for_doors();
  Status start_gateway();
  bool may_launch();
  Status launch_due();
  Status launch(int index);
  int until_next_start(int timeout_ms);
  void poll_children(int timeout_ms);
  void read_coordinator();
  void on_event(const CoordinatorEvent& event);
  void on_ready(const CoordinatorEvent& event);
  void on_lost(const CoordinatorEvent& event);
  void check_silent_groups();
  Status check_coordinator();
  Status join_traces();

  const ClusterOptions options_;
  const Preflight& preflight_;
  LaunchListener& listener_;
  Interrupts& interrupts_;
  SteadyClock clock_;
  Standstill standstill_;
  StateFolder state_;
  std::string log_file_;  // shared by coordinator and ranks; "": stderr
  CoordinatorProcess coordinator_;
  bool old_groups_end_ = false;  // processes of the last coordinator's groups may be left
  bool ending_ = false;
  bool has_journal_room_ = true;
  bool was_ready_ = false;  // all groups have been ready at once
  GroupSupervisor supervisor_;
  GroupProcesses groups_;
  std::optional<GatewayProcess> gateway_;
  std::optional<Status> failure_;  // first error before was_ready_
};

}  // namespace trireme
