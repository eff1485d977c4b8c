// MPI's life in this process, and the communicators of a group: who is here, on which host, in
// which stage. A start or an end that hangs (a peer died in between) ends the process by name.
// One Session a process, made and used by the main thread.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/status.h"
#include "worker/comm/comm.h"

namespace trireme {

// The communicators of one rank of a group of tp x pp ranks.
struct GroupComms {
  int rank = 0;  // stage * tp + tensor index
  int stage = 0;
  int tensor_index = 0;
  std::unique_ptr<Comm> group;     // all ranks, in order
  std::unique_ptr<Comm> tensor;    // the ranks of this stage; rank there = tensor index
  std::unique_ptr<Comm> pipeline;  // equal tensor index, along the stages: residuals go down it
  std::unique_ptr<Comm> tokens;    // the same ranks: drawn ids go back to stage 0
};

// One small message of each kind that comes besides a step's sums and residuals: between the ranks
// of a stage (whole rows of logits), and from the last stage to the first (drawn ids). `memory`: 32
// bytes a rank of the stage, of the device; the queue's work uses it.
void exchange_first_messages(GroupComms& comms, Queue& queue, std::span<std::byte> memory);

// The group of one rank, without MPI.
GroupComms solo_group();

class Session {
 public:
  // Starts MPI. TRI-GRP-002: it cannot, or not with the threading that is needed.
  static StatusOr<std::unique_ptr<Session>> start(int* argc, char*** argv);
  ~Session();  // finalizes, within a deadline

  int rank() const { return rank_; }
  int size() const { return size_; }
  const std::string& host() const { return hosts_[rank_]; }
  int ranks_on_host() const { return ranks_on_host_; }
  int local_rank() const { return local_rank_; }  // this rank's number among those of its host
  bool is_on_first_host() const { return host() == hosts_.front(); }

  // TRI-GRP-001: the launcher started another number of ranks than tp x pp.
  Status check_size(int tp, int pp) const;
  // The group of the first tp x pp ranks; every rank of the session calls it, the others get null.
  std::unique_ptr<GroupComms> make_group(int tp, int pp);
  // describe_place(), and a warning when the tensor group spans hosts.
  std::string describe(int tp, int pp) const;

 private:
  Session() = default;

  int rank_ = 0;
  int size_ = 1;
  int ranks_on_host_ = 1;
  int local_rank_ = 0;
  std::vector<std::string> hosts_;  // by rank
};

// "rank 3 of 4 on node1: stage 1 of 2, tensor index 1 of 2, 2 ranks on this host"
std::string describe_place(int rank, int tp, int pp, const std::string& host, int ranks_on_host);
std::string this_host();

// Ends the process at once with a line that says why: no destructors, no MPI, no launcher in
// between. For a rank whose group is lost.
[[noreturn]] void leave_group(const Status& reason, int exit_status = 3);

}  // namespace trireme
