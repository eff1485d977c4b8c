// Starts and ends MPI in this process; knows the number of ranks and their hosts, and makes the
// communicators of a group. If the start or the end hangs because a peer has died, the process ends
// with a message that names the call. One MpiSession per process, used by the main thread.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/status.h"
#include "worker/comm/group_comms.h"

namespace trireme {

class MpiSession {
 public:
  // Starts MPI. TRI-GRP-002: it fails, or lacks MPI_THREAD_FUNNELED.
  static StatusOr<std::unique_ptr<MpiSession>> start(int* argc, char*** argv);
  ~MpiSession();  // finalizes, within a deadline

  int rank() const { return rank_; }
  int size() const { return size_; }
  const std::string& host() const { return hosts_[rank_]; }
  int ranks_on_host() const { return ranks_on_host_; }
  int local_rank() const { return local_rank_; }  // index among the ranks of this host
  bool is_on_first_host() const { return host() == hosts_.front(); }

  // TRI-GRP-001: the launcher started another number of ranks than tp x pp.
  Status check_size(int tp, int pp) const;
  // The communicators of a group of the first tp x pp ranks. Collective over the session; the other
  // ranks get null.
  std::unique_ptr<GroupComms> make_group(int tp, int pp);
  // describe_place(), and a warning when the tensor group spans hosts.
  std::string describe(int tp, int pp) const;

 private:
  MpiSession() = default;

  int rank_ = 0;
  int size_ = 1;
  int ranks_on_host_ = 1;
  int local_rank_ = 0;
  std::vector<std::string> hosts_;  // by rank
};

// The version of the MPI library of this process ("4.1.4"). Needs no started MPI.
std::string mpi_library_version();

// TRI-UP-043: the mpirun that started this process belongs to a later Open MPI than its library,
// which then does not find its peers. `launcher`: OMPI_VERSION, which mpirun 5 sets.
Status check_launcher(const std::string& launcher, const std::string& library);

// "rank 3 of 4 on node1: stage 1 of 2, tensor index 1 of 2, 2 ranks on this host"
std::string describe_place(int rank, int tp, int pp, const std::string& host, int ranks_on_host);

}  // namespace trireme
