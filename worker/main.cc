// trireme-worker: one rank of a group, started by mpirun, or all ranks of a group as threads
// without mpirun (--local-ranks). Loads its shard, then runs step plans from the coordinator, a
// file or a benchmark.
#include <sys/prctl.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "base/environment.h"
#include "base/host_info.h"
#include "base/log_flags.h"
#include "base/process_limits.h"
#include "kernels/cuda_backend.h"
#include "worker/comm/exit_rank.h"
#include "worker/comm/local_group.h"
#include "worker/comm/mpi_session.h"
#include "worker/comm/nccl_comm.h"
#include "worker/comm/time_guard.h"
#include "worker/device_list.h"
#include "worker/rank.h"
#include "worker/worker_flags.h"

namespace trireme {
namespace {

constexpr int kBadUsage = 2;
constexpr int kFailed = 3;
constexpr int kLeastThreads = 6;     // of MPI, ZeroMQ and the control of the step loop
constexpr int64_t kLeastFiles = 40;  // of MPI, ZeroMQ and the model's files

void print_line(const std::string& line) { std::fprintf(stderr, "%s\n", line.c_str()); }

// An error that every rank finds alike is printed by rank 0 only.
int refuse(const Status& status, int rank) {
  if (rank == 0) print_line(message_of(status));
  return kBadUsage;
}

// A number that mpirun or srun has put into the environment; needed before MPI has started.
std::optional<int> launched(std::initializer_list<const char*> names) {
  for (const char* name : names) {
    if (const auto number = environment(name)) return std::atoi(number->c_str());
  }
  return std::nullopt;
}

// Runs a rank to its end in bounded time; a rank that fails ends the process. Returns the exit
// status; of a refused group, only the rank that reports the cause returns kBadUsage.
int run_rank(const WorkerFlags& flags, const RankPlace& place) {
  std::signal(SIGPIPE, SIG_IGN);   // a closed stderr must not end a rank before its Goodbye
  prctl(PR_SET_TIMERSLACK, 1000);  // a wait of 50 us must not take 100
  auto rank = std::make_unique<Rank>(flags, place);
  const Status status = rank->run();
  const bool is_refused = rank->refused();
  if (!status.ok() && !is_refused) exit_rank(status);  // peers may wait for this rank
  // Freeing memory and queues of a device waits for their work, which may wait for a dead peer.
  const TimeGuard guard(format_text("the end of rank {}", place.rank));
  rank.reset();
  return is_refused ? refuse(status, absl::IsCancelled(status) ? 1 : 0) : 0;
}

int run_local_ranks(const WorkerFlags& flags, int num_devices) {
  const WorkerOptions& options = flags.worker;
  const std::string host = host_name();
  auto group = make_local_group(options.tp, options.pp, host);
  std::vector<int> statuses(group.size());
  std::vector<std::thread> threads;
  for (int rank = 0; rank < flags.local_ranks; ++rank) {
    RankPlace place;
    place.rank = rank;
    place.host = host;
    place.description =
        describe_place(rank, options.tp, options.pp, host, flags.local_ranks) + ", one process";
    place.ranks_on_host = flags.local_ranks;
    place.device = device_of_rank(flags, {rank, true}, num_devices);
    place.make_group = [&group, rank] { return std::move(group[rank]); };
    threads.emplace_back([&flags, &status = statuses[rank], place = std::move(place)] {
      status = run_rank(flags, place);
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (const int status : statuses) {
    if (status != 0) return status;
  }
  return 0;
}

int run_launched_rank(const WorkerFlags& flags, int num_devices, int* argc, char*** argv) {
  const WorkerOptions& options = flags.worker;
  auto session = MpiSession::start(argc, argv);
  if (!session.ok()) {
    print_line(message_of(session.status()));
    return kFailed;
  }
  MpiSession& mine = **session;
  const Status size = mine.check_size(options.tp, options.pp);
  if (!size.ok()) return refuse(size, mine.rank());
  RankPlace place;
  place.rank = mine.rank();
  place.host = mine.host();
  place.description = mine.describe(options.tp, options.pp);
  place.ranks_on_host = mine.ranks_on_host();
  const HostPlace on_host = {mine.local_rank(), mine.is_on_first_host()};
  place.device = device_of_rank(flags, on_host, num_devices);
  place.make_group = [&] { return mine.make_group(options.tp, options.pp); };
  return run_rank(flags, place);
}

// The number of GPUs, or the reason why none can be used.
StatusOr<int> count_devices() {
  if (const int count = num_cuda_devices(); count > 0) return count;
  RETURN_IF_ERROR(query_cuda_devices().status());
  return 0;
}

int run(int argc, char** argv) {
  auto flags = parse_worker_flags({argv + 1, argv + argc});
  if (flags.ok() && flags->help) {
    std::printf("%s", flags->help_text.c_str());
    return 0;
  }
  const int rank = launched({"OMPI_COMM_WORLD_RANK", "PMIX_RANK"}).value_or(0);
  if (!flags.ok()) return refuse(flags.status(), rank);
  const Status launcher =
      check_launcher(environment("OMPI_VERSION").value_or(""), mpi_library_version());
  if (!launcher.ok()) return refuse(launcher, rank);
  if (flags->list_devices) {
    std::printf("%s\n", device_list(query_cuda_devices(), nccl_library()).c_str());
    return 0;
  }
  if (const Status files = require_open_files(kLeastFiles, "a rank"); !files.ok()) {
    return refuse(files, rank);
  }
  if (const Status threads = require_threads(kLeastThreads, "a rank"); !threads.ok()) {
    return refuse(threads, rank);
  }
  if (const Status log = start_log("worker", flags->log); !log.ok()) return refuse(log, rank);
  const WorkerOptions& options = flags->worker;
  const int num_launched = launched({"OMPI_COMM_WORLD_SIZE"}).value_or(rank + 1);
  const Status local = check_local_ranks(options.tp, options.pp, flags->local_ranks, num_launched);
  if (!local.ok()) return refuse(local, rank);
  set_cuda_environment(*flags);
  const StatusOr<int> num_devices = options.backend == "cpu" ? 0 : count_devices();
  const StatusOr<std::string> chosen = choose_backend(*flags, num_devices);
  if (!chosen.ok()) return refuse(chosen.status(), rank);
  if (rank == 0) print_line(*chosen);
  if (options.backend == "cuda") set_nccl_environment(flags->nccl);
  if (flags->local_ranks > 0) return run_local_ranks(*flags, num_devices.value_or(0));
  return run_launched_rank(*flags, num_devices.value_or(0), &argc, &argv);
}

}  // namespace
}  // namespace trireme

int main(int argc, char** argv) { return trireme::run(argc, argv); }
