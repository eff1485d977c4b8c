#include "launch/checks/machine_check.h"

#include <algorithm>

#include "base/host_info.h"
#include "base/process_limits.h"
#include "launch/process/temporary_folder.h"

namespace trireme {

namespace {

// Descriptors that the processes have been seen to open, and some more.
constexpr int64_t kMpirunFiles = 32;
constexpr int64_t kMpirunFilesPerRank = 5;
constexpr int64_t kCoordinatorFiles = 40;
constexpr int64_t kVerbFilesPerGroup = 4;
constexpr int64_t kVerbFiles = 40;

// Threads: transport and work of each process, without the pools of CPU kernels.
constexpr int kRankThreads = 8;
constexpr int kMpirunThreads = 4;
constexpr int kOtherThreads = 16;  // coordinator, gateway and verb

// Threads that a rank's CPU kernels use beside the step loop's: as the worker chooses them.
int pool_threads(const ClusterFlags& flags) {
  return (flags.threads > 0 ? flags.threads : usable_core_count(flags.num_ranks())) - 1;
}

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
  RETURN_IF_ERROR(check_threads(flags, flags.backend));
  return check_temporary_folder();
}

int threads_of_cluster(const ClusterFlags& flags, const std::string& backend) {
  const int of_a_rank = kRankThreads + (backend == "cpu" ? pool_threads(flags) : 0);
  return kOtherThreads + flags.groups * (kMpirunThreads + of_a_rank * flags.num_ranks());
}

Status check_threads(const ClusterFlags& flags, const std::string& backend) {
  if (!flags.hostfile.empty()) return ok_status();
  return require_threads_of_all(threads_of_cluster(flags, backend), "the cluster");
}

}  // namespace trireme
