// Command lines of a cluster's processes: the coordinator's, and one mpirun per group. Pure, but
// for the environment (TMPDIR, user id, variables of another launch). docs/operations.md and
// mpirun_local.sh repeat the mpirun line; a test compares them.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "base/status.h"
#include "launch/command_lines/cluster_flags.h"
#include "launch/command_lines/mpirun_options.h"
#include "launch/process/process.h"

namespace trireme {

// Reads a hostfile as mpirun does: one "HOST slots=N" per line, # comments. TRI-UP-004: it cannot
// be read, a line is malformed, or there are fewer slots than `ranks`.
StatusOr<std::vector<HostSlots>> read_hostfile(const std::string& path, int ranks);

// The slots of group `index` if each group takes `ranks` slots in the order of the file.
std::vector<HostSlots> slots_of_group(const std::vector<HostSlots>& hosts, int index, int ranks);

struct WorkerLaunch {
  std::string log_file;         // "": stderr
  std::string worker_endpoint;  // tcp://HOST:PORT of the worker door
  std::string worker_key;       // hexadecimal; "": no encryption
  std::string bench_step;       // measurements to make; "": serve a coordinator
  int group = 0;
  std::string backend = "cpu";   // or "cuda"
  int first_gpu = 0;             // index of the group's first GPU on its first host
  int local_ranks = 1;           // above 1: the group is one process with this many rank threads
  int64_t vocabulary_limit = 0;  // ids from here on are never drawn; 0: no limit
  std::vector<HostSlots> hosts;  // empty: this machine
  MpirunVersion mpirun;
};

struct CoordinatorLaunch {
  std::string log_file;  // empty: stderr
  std::string state;
  bool journal = false;  // keep requests in the state folder
  std::string drain_timeout = JournalFlags().drain_timeout;
  std::string host;
  int port = 0;
  int worker_port = 0;
  bool keep_worker_key = false;  // ranks wait for it with the key of the last one
  bool allow_probes = false;
};

// Words that run a command on `host` through the launch agent; the command's words follow them.
std::vector<std::string> agent_command(const std::string& agent, const std::string& host);

// Number of slots that earlier groups take on the first host of group `index`. Without hosts all
// groups are on this machine.
int slots_before_group(const std::vector<HostSlots>& hosts, int index, int ranks);

// Whether a group starts without mpirun: its ranks are threads of one process because they share
// GPUs, or it is one rank on this machine.
bool is_one_process(const ClusterFlags& flags, const WorkerLaunch& launch);
// Command of a group: one process, or mpirun. The worker key is passed in the environment, never in
// an argument.
ProcessOptions ranks_command(const ClusterFlags& flags, const WorkerLaunch& launch);
// On one machine without the variables that place the processes of another launch
// (inherited_environment.h).
ProcessOptions mpirun_command(const ClusterFlags& flags, const WorkerLaunch& launch);
// A word as a person would type it into a shell: quoted where needed.
std::string shell_word(const std::string& word);
// The command as a person would type it into a shell: variables, then quoted words. For display.
std::string shell_line(const ProcessOptions& command);

// The coordinator's part of --trace FILE.
std::string coordinator_trace(const ClusterFlags& flags);
ProcessOptions coordinator_command(const ClusterFlags& flags, const CoordinatorLaunch& launch);

}  // namespace trireme
