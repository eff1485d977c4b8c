// The coordinator of a cluster: one child process, with its event lines and the tail of its stderr;
// started again when it ends or falls silent, if its owner wants that (supervise()).
// Owned by Cluster, main thread. Invariants: the destructor leaves no child; every start has the
// ports of the first.
#pragma once

#include <deque>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/status.h"
#include "launch/command_lines/cluster_flags.h"
#include "launch/command_lines/command_lines.h"
#include "launch/launch_listener.h"
#include "launch/process/process.h"
#include "launch/supervision/coordinator_events.h"
#include "launch/supervision/coordinator_supervisor.h"

namespace trireme {

// The port of tcp://HOST:PORT; 0 if there is none.
int port_of(const std::string& endpoint);

class CoordinatorProcess {
 public:
  // The references outlive this object.
  CoordinatorProcess(const ClusterFlags& flags, LaunchListener& listener)
      : flags_(flags), listener_(listener) {}

  void limit_losses() { supervisor_.limit_losses(); }

  // Starts the process for the first time. TRI-UP-020.
  Status start(const CoordinatorLaunch& launch);

  // Takes the output that has arrived and notices the end. Returns the events in their order.
  std::vector<CoordinatorEvent> read();

  // After read(): ends a silent process, and starts one that has ended again when that is due
  // (coordinator_supervisor.h). True: a life has ended, and the listener was told. An error: it
  // does not start again.
  StatusOr<bool> supervise();
  std::optional<TimeUs> next_start_us() const { return supervisor_.next_start_us(); }
  // Moves all times by a gap in which this process stood still.
  void forgive(TimeUs gap_us) { supervisor_.forgive(gap_us); }

  // As of the last read() or supervise().
  bool doors_open() const { return doors_open_; }
  bool has_ended() const { return exit_status_.has_value(); }  // and did not start again
  bool has_drained() const { return has_drained_; }
  const CoordinatorEvent& doors() const { return doors_; }  // the last that opened

  // Key of the worker door, hexadecimal; "": no encryption. The same in each life. TRI-UP-010: it
  // cannot be read.
  StatusOr<std::string> worker_key() const;

  // Error for its end: TRI-UP-010 if its doors never opened (or its own error, kInvalidArgument for
  // bad input), else TRI-UP-014. With its last error line.
  Status end_error() const;

  std::vector<int> descriptors() const { return process_.descriptors(); }
  // Sends "drain" or "stop". False: it takes no more lines.
  bool write_line(const std::string& line) const { return process_.write_line(line); }
  bool is_running() { return process_.started() && !process_.exit_status(); }
  void kill() const;

 private:
  Status launch();
  void start_again();
  void on_event(const CoordinatorEvent& event);
  // Its last error line, or the last line of its stderr; "": none.
  std::string last_words() const;
  std::string describe_end() const;

  const ClusterFlags& flags_;
  LaunchListener& listener_;
  SteadyClock clock_;
  CoordinatorSupervisor supervisor_;
  CoordinatorLaunch launch_;
  CoordinatorEvent doors_;
  bool was_open_ = false;  // in any life
  TimeUs lost_us_ = 0;     // when the last life was found to have ended

  // Of the present life, or the last one.
  Process process_;               // not started: between two lives
  std::deque<std::string> tail_;  // last lines of its stderr, log lines excepted
  std::string last_error_;        // text of its last error event
  bool doors_open_ = false;
  bool has_drained_ = false;
  bool was_silent_ = false;  // and was killed for it
  std::optional<int> exit_status_;
  int end_signal_ = 0;
};

}  // namespace trireme
