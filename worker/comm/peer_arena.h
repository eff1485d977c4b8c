// Device memory of each rank that all ranks of a communicator see: plain pointers among threads of
// one process, cudaIpc handles among processes of one host. Set up once, by all ranks together,
// over a host communicator; used by the rank's thread. A rank's memory may go when all have called
// close(): freed while another process has it open, it is undefined what either does.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "base/status.h"
#include "kernels/buffer.h"
#include "worker/comm/comm.h"

namespace trireme {

// How the ranks of a communicator stand to one another; the same on every rank.
struct PeerReach {
  bool is_one_host = false;
  bool is_reachable = false;     // every rank can read the device of every other
  int32_t ranks_per_device = 1;  // of the communicator, at most
};
// Collective. Asks about the calling thread's current device.
StatusOr<PeerReach> survey_peers(Comm& control);

// Which ranks of a group share devices. Devices are equal if host (boot id) and PCI address are.
struct DeviceShare {
  int32_t ranks_per_device = 1;       // maximum over the group's devices
  int32_t num_multiprocessors = 1;    // of the smallest device
  std::vector<int32_t> ranks_here{};  // on this rank's device, ascending, with this rank
};
// Collective over the group. Asks about the calling thread's current device.
StatusOr<DeviceShare> survey_devices(Comm& group);

class PeerArena {
 public:
  // Collective. `memory` is an allocation of its own of this rank's device; `peers` are names for
  // errors. TRI-CUDA-012: this rank cannot see another's memory; says which, where and why.
  // TRI-CUDA-016: another rank has failed. `process`: ranks of unequal numbers reach one another
  // by handles; 0: the number of this process, drawn at random.
  static StatusOr<PeerArena> open(Buffer memory,
                                  Comm& control,
                                  const std::vector<std::string>& peers,
                                  uint64_t process = 0);
  PeerArena(PeerArena&&) = default;
  ~PeerArena() { close(); }

  // Closes what it opened: nothing of this rank's may use the peers' memory from now on.
  void close();

  int64_t bytes() const { return memory_.bytes(); }
  std::byte* own() const { return memory_.data(); }
  std::byte* of(int rank) const { return addresses_[rank]; }

 private:
  PeerArena() = default;

  Buffer memory_;
  std::vector<std::byte*> addresses_;  // by rank
  std::vector<void*> opened_;          // of other processes
};

}  // namespace trireme
