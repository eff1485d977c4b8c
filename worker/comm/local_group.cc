#include "worker/comm/local_group.h"

#include "worker/comm/local_comm.h"

namespace trireme {
namespace {

// Makes a communicator of `ranks` and gives each of them its Comm.
void connect(const std::vector<std::unique_ptr<GroupComms>>& group,
             std::unique_ptr<Comm> GroupComms::*end,
             const char* name,
             const std::vector<int>& ranks,
             const std::string& host) {
  std::vector<std::string> peers;
  for (const int rank : ranks) peers.push_back(format_text("rank {} on {}", rank, host));
  auto comms = LocalComm::make(name, peers);
  for (size_t i = 0; i < ranks.size(); ++i) (*group[ranks[i]]).*end = std::move(comms[i]);
}

}  // namespace

Status check_local_ranks(int tp, int pp, int local_ranks, int launched_ranks) {
  if (local_ranks == 0) return ok_status();
  if (launched_ranks > 1) {
    return invalid("TRI-GRP-029",
                   "--local-ranks {} in each of {} ranks of the launcher is not built; use one of "
                   "the two: start this program once, or leave --local-ranks out",
                   local_ranks,
                   launched_ranks);
  }
  if (local_ranks == tp * pp) return ok_status();
  return invalid("TRI-GRP-029",
                 "--local-ranks {}, but -tp {} x -pp {} needs {}",
                 local_ranks,
                 tp,
                 pp,
                 tp * pp);
}

std::vector<std::unique_ptr<GroupComms>> make_local_group(int tp, int pp, const std::string& host) {
  std::vector<std::unique_ptr<GroupComms>> group;
  if (tp * pp == 1) {
    group.push_back(std::make_unique<GroupComms>(solo_group()));
    return group;
  }
  std::vector<std::vector<int>> stages(pp);
  std::vector<std::vector<int>> columns(tp);
  std::vector<int> all;
  for (int rank = 0; rank < tp * pp; ++rank) {
    auto comms = std::make_unique<GroupComms>();
    comms->rank = rank;
    comms->stage = rank / tp;
    comms->tensor_index = rank % tp;
    group.push_back(std::move(comms));
    stages[rank / tp].push_back(rank);
    columns[rank % tp].push_back(rank);
    all.push_back(rank);
  }
  connect(group, &GroupComms::group, "the group", all, host);
  for (const auto& stage : stages) {
    connect(group, &GroupComms::tensor, "the tensor group", stage, host);
  }
  for (const auto& column : columns) {
    connect(group, &GroupComms::pipeline, "the pipeline", column, host);
    connect(group, &GroupComms::tokens, "the token return", column, host);
  }
  return group;
}

}  // namespace trireme
