// The gateway of a cluster: one child process, started again with a growing delay whenever it ends.
// Owned by Cluster, main thread. Invariant: every start uses the address of the first.
#pragma once

#include <deque>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/status.h"
#include "launch/command_lines/cluster_flags.h"
#include "launch/command_lines/gateway_flags.h"
#include "launch/launch_listener.h"
#include "launch/process/process.h"
#include "launch/supervision/group_supervisor.h"

namespace trireme {

// The gateway's command line. `port`: that it listens on; `log_file` "": stderr.
ProcessOptions gateway_command(const ClusterFlags& cluster,
                               const GatewayFlags& flags,
                               const std::string& endpoint,
                               const std::string& log_file,
                               int port);

// The first port from `first` on, of at most 100, on which nobody listens at `host`; `first` if
// there is none or the host is no address of this machine (the gateway then says so).
int first_free_port(const std::string& host, int first);

class GatewayProcess {
 public:
  // The references outlive this object.
  GatewayProcess(const ClusterFlags& cluster, const GatewayFlags& flags, LaunchListener& listener)
      : cluster_(cluster), flags_(flags), listener_(listener), supervisor_(1) {}

  // Starts the process for the first time. TRI-UP-020.
  Status start(const std::string& endpoint, const std::string& log_file);
  // Reads its output, notices its end, starts it again when that is due. An error: it ended before
  // it listened for the first time (its own message).
  Status pump();

  const std::string& url() const { return url_; }  // "": it does not listen yet
  bool was_ready() const { return was_ready_; }    // it has been able to answer requests
  std::vector<int> descriptors() const { return process_.descriptors(); }
  std::optional<TimeUs> next_start_us() const { return supervisor_.next_start_us(); }

  // Running requests finish, then the process ends; nothing is started again.
  void drain();
  // Waits up to `patience_ms` for its end, then kills it.
  void end(int patience_ms);

 private:
  Status launch();
  Status on_end(int exit_status);
  void on_line(const std::string& line);

  const ClusterFlags& cluster_;
  const GatewayFlags& flags_;
  LaunchListener& listener_;
  SteadyClock clock_;
  GroupSupervisor supervisor_;
  Process process_;
  std::string endpoint_;
  std::string log_file_;
  int port_ = 0;
  std::string url_;
  bool was_ready_ = false;
  std::string last_error_;  // line of its stderr
  bool ending_ = false;
};

}  // namespace trireme
