// Checks that this machine allows a cluster what it needs: open files, threads, temporary files.
// Main thread, before others start.
#pragma once

#include <cstdint>
#include <string>

#include "base/status.h"
#include "launch/command_lines/cluster_flags.h"

namespace trireme {

// Open files that the process with most of them needs, for so many groups of so many ranks.
int64_t files_of_cluster(int num_groups, int num_ranks);

// Threads that the processes of a cluster on this machine have together.
int threads_of_cluster(const ClusterFlags& flags, const std::string& backend);

// TRI-UP-042: this machine does not allow them. `backend`: "auto" counts as one without CPU
// kernels.
Status check_threads(const ClusterFlags& flags, const std::string& backend);

// TRI-UP-015: no temporary folder; TRI-UP-041: too few open files (the limit is raised if it may
// be); TRI-UP-042: too few threads.
Status check_machine(const ClusterFlags& flags);

}  // namespace trireme
