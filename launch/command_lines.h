// The command lines of a cluster: the coordinator's, and one mpirun a group, as docs/operations.md
// writes them out.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "base/status.h"
#include "launch/cluster_flags.h"
#include "launch/process.h"

namespace trireme {

struct HostSlots {
  std::string host;
  int slots = 1;
  bool operator==(const HostSlots&) const = default;
};

// "host slots=4" a line, # comments, as mpirun reads it. TRI-UP-004: cannot be read, a line that
// is no host, fewer slots than `ranks`.
StatusOr<std::vector<HostSlots>> read_hostfile(const std::string& path, int ranks);

// The slots of group `index` when each group takes `ranks` in the order of the file.
std::vector<HostSlots> slots_of_group(const std::vector<HostSlots>& hosts, int index, int ranks);

struct WorkerLaunch {
  std::string log_file;  // empty: stderr
  std::string worker_endpoint;
  std::string worker_key;  // hexadecimal; "": plain
  std::string bench_step;  // instead of a coordinator
  int group = 0;
  std::string backend = "cpu";   // or "cuda"
  int first_gpu = 0;             // of the group's first host
  int local_ranks = 1;           // over 1: the group is one process, without mpirun
  int64_t vocabulary_limit = 0;  // ids from here on are never drawn; 0: all may be
  std::vector<HostSlots> hosts;  // empty: this machine
};

struct CoordinatorLaunch {
  std::string log_file;  // empty: stderr
  std::string state;
  std::string host;
  int port = 0;
  bool allow_probes = false;
};

// HOST as `agent` reaches it; a command follows.
std::vector<std::string> agent_command(const std::string& agent, const std::string& host);

// Slots of the first host of group `index` that groups before it have; without hosts, all of them.
int slots_before_group(const std::vector<HostSlots>& hosts, int index, int ranks);

// A group's ranks: mpirun, or one process with all of them.
ProcessOptions ranks_command(const ClusterFlags& flags, const WorkerLaunch& launch);
ProcessOptions mpirun_command(const ClusterFlags& flags, const WorkerLaunch& launch);
// The command as a person would type it into a shell: variables, then quoted words. For display.
std::string shell_line(const ProcessOptions& command);

ProcessOptions coordinator_command(const ClusterFlags& flags, const CoordinatorLaunch& launch);

}  // namespace trireme
