#include "launch/machine_check.h"

#include <algorithm>

#include "base/process_limits.h"
#include "launch/temporary_folder.h"

namespace trireme {

namespace {

// Descriptors that the processes have been seen to open, and some more.
constexpr int64_t kMpirunFiles = 32;
constexpr int64_t kMpirunFilesPerRank = 5;
constexpr int64_t kCoordinatorFiles = 40;
constexpr int64_t kVerbFilesPerGroup = 4;
constexpr int64_t kVerbFiles = 40;

// Threads: transport and work of each process; those of kernel pools are fewer than the cores.
constexpr int kRankThreads = 8;
constexpr int kMpirunThreads = 4;
constexpr int kOtherThreads = 12;

}  // namespace

int64_t files_of_cluster(int num_groups, int num_ranks) {
  const int64_t groups = num_groups;
  return std::max({kMpirunFiles + kMpirunFilesPerRank * num_ranks,
                   kCoordinatorFiles + groups * num_ranks,
                   kVerbFiles + kVerbFilesPerGroup * groups});
}

Status check_machine(const ClusterFlags& flags) {
  constexpr int64_t kStandardFiles = 3;  // those that the parent has opened are inherited
  const int64_t inherited = std::max<int64_t>(0, count_open_files() - kStandardFiles);
  RETURN_IF_ERROR(require_open_files(files_of_cluster(flags.groups, flags.num_ranks()) + inherited,
                                     "the cluster"));
  const int threads =
      kOtherThreads + flags.groups * (kMpirunThreads + kRankThreads * flags.num_ranks());
  if (flags.hostfile.empty()) RETURN_IF_ERROR(require_threads_of_all(threads, "the cluster"));
  return check_temporary_folder();
}

}  // namespace trireme
