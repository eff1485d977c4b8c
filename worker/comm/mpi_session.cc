#include "worker/comm/mpi_session.h"

#include <mpi.h>

#include <cstdlib>
#include <set>

#include "base/text.h"
#include "worker/comm/mpi_comm.h"
#include "worker/comm/time_guard.h"

namespace trireme {
namespace {

std::string mpi_host_name() {
  char name[MPI_MAX_PROCESSOR_NAME] = {};
  int length = 0;
  MPI_Get_processor_name(name, &length);
  return name;
}

std::vector<std::string> gather_hosts(int size) {
  const std::string mine = mpi_host_name();
  char padded[MPI_MAX_PROCESSOR_NAME] = {};
  mine.copy(padded, sizeof padded - 1);
  std::vector<char> all(static_cast<size_t>(size) * sizeof padded);
  MPI_Allgather(
      padded, sizeof padded, MPI_CHAR, all.data(), sizeof padded, MPI_CHAR, MPI_COMM_WORLD);
  std::vector<std::string> hosts;
  for (int rank = 0; rank < size; ++rank) hosts.emplace_back(all.data() + rank * sizeof padded);
  return hosts;
}

void count_ranks_on_host(int rank, int* count, int* local_rank) {
  MPI_Comm shared = MPI_COMM_NULL;
  MPI_Comm_split_type(MPI_COMM_WORLD, MPI_COMM_TYPE_SHARED, rank, MPI_INFO_NULL, &shared);
  MPI_Comm_size(shared, count);
  MPI_Comm_rank(shared, local_rank);
  MPI_Comm_free(&shared);
}

// A Comm over the ranks of equal `color`; null where it is MPI_UNDEFINED.
std::unique_ptr<Comm> split(int color,
                            int key,
                            const char* name,
                            const std::vector<std::string>& hosts) {
  MPI_Comm part = MPI_COMM_NULL;
  MPI_Comm_split(MPI_COMM_WORLD, color, key, &part);
  if (part == MPI_COMM_NULL) return nullptr;
  MPI_Group world_group = MPI_GROUP_NULL;
  MPI_Group part_group = MPI_GROUP_NULL;
  MPI_Comm_group(MPI_COMM_WORLD, &world_group);
  MPI_Comm_group(part, &part_group);
  int size = 0;
  MPI_Comm_size(part, &size);
  std::vector<std::string> peers;
  for (int member = 0; member < size; ++member) {
    int rank = 0;
    MPI_Group_translate_ranks(part_group, 1, &member, world_group, &rank);
    peers.push_back(format_text("rank {} on {}", rank, hosts[rank]));
  }
  MPI_Group_free(&world_group);
  MPI_Group_free(&part_group);
  return std::make_unique<MpiComm>(part, name, std::move(peers));
}

}  // namespace

StatusOr<std::unique_ptr<MpiSession>> MpiSession::start(int* argc, char*** argv) {
  TimeGuard guard("the start of MPI");
  int provided = MPI_THREAD_SINGLE;
  if (MPI_Init_thread(argc, argv, MPI_THREAD_FUNNELED, &provided) != MPI_SUCCESS ||
      provided < MPI_THREAD_FUNNELED) {
    return unavailable("TRI-GRP-002",
                       "MPI does not start with MPI_THREAD_FUNNELED (it gives level {}); install "
                       "Open MPI 4.1 or later with thread support",
                       provided);
  }
  MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN);
  std::unique_ptr<MpiSession> session(new MpiSession);
  MPI_Comm_rank(MPI_COMM_WORLD, &session->rank_);
  MPI_Comm_size(MPI_COMM_WORLD, &session->size_);
  session->hosts_ = gather_hosts(session->size_);
  count_ranks_on_host(session->rank_, &session->ranks_on_host_, &session->local_rank_);
  return session;
}

MpiSession::~MpiSession() {
  TimeGuard guard("the end of MPI");
  MPI_Finalize();
}

Status MpiSession::check_size(int tp, int pp) const {
  if (size_ == tp * pp) return ok_status();
  return invalid("TRI-GRP-001",
                 "the launcher started {} rank{}, but -tp {} x -pp {} needs {}; start them with: "
                 "mpirun -np {} trireme-worker ... (under Slurm: srun --mpi=pmix -n {})",
                 size_,
                 size_ == 1 ? "" : "s",
                 tp,
                 pp,
                 tp * pp,
                 tp * pp,
                 tp * pp);
}

std::unique_ptr<GroupComms> MpiSession::make_group(int tp, int pp) {
  TimeGuard guard("the creation of communicators");
  const bool member = rank_ < tp * pp;
  auto comms = std::make_unique<GroupComms>();
  comms->rank = rank_;
  comms->stage = rank_ / tp;
  comms->tensor_index = rank_ % tp;
  const int stage_color = member ? comms->stage : MPI_UNDEFINED;
  const int index_color = member ? comms->tensor_index : MPI_UNDEFINED;
  comms->group = split(member ? 0 : MPI_UNDEFINED, rank_, "the group", hosts_);
  comms->tensor = split(stage_color, rank_, "the tensor group", hosts_);
  comms->pipeline = split(index_color, rank_, "the pipeline", hosts_);
  comms->tokens = split(index_color, rank_, "the token return", hosts_);
  return member ? std::move(comms) : nullptr;
}

std::string mpi_library_version() {
  char text[MPI_MAX_LIBRARY_VERSION_STRING] = {};
  int length = 0;
  MPI_Get_library_version(text, &length);
  // "Open MPI v4.1.4, package: ..."
  std::string version = text;
  const size_t begin = version.find(" v");
  if (begin == std::string::npos) return version;
  return version.substr(begin + 2, version.find_first_of(", ", begin + 2) - begin - 2);
}

Status check_launcher(const std::string& launcher, const std::string& library) {
  if (std::atoi(launcher.c_str()) <= std::atoi(library.c_str())) return ok_status();
  return invalid(
      "TRI-UP-043",
      "mpirun is Open MPI {}, trireme-worker loads the MPI library of Open MPI {}; put the mpirun "
      "of that installation first in PATH, or the newer library first in LD_LIBRARY_PATH",
      launcher,
      library);
}

std::string describe_place(int rank, int tp, int pp, const std::string& host, int ranks_on_host) {
  return format_text(
      "rank {} of {} on {}: stage {} of {}, tensor index {} of {}, {}{} on this host",
      rank,
      tp * pp,
      host,
      rank / tp,
      pp,
      rank % tp,
      tp,
      ranks_on_host,
      ranks_on_host == 1 ? " rank" : " ranks");
}

std::string MpiSession::describe(int tp, int pp) const {
  std::string text = describe_place(rank_, tp, pp, host(), ranks_on_host_);
  const auto first = hosts_.begin() + rank_ / tp * tp;
  const std::set<std::string> spanned(first, first + tp);
  if (spanned.size() > 1) {
    text += format_text(
        "; warning: its tensor group spans the hosts {}, every layer waits for the network: number "
        "ranks host by host (mpirun --map-by ppr:N:node)",
        join(spanned));
  }
  return text;
}

}  // namespace trireme
