// Device memory of each rank that all ranks of a communicator can access: plain pointers among
// threads of one process, cudaIpc handles among processes of one host. Set up once, collectively
// over a host communicator; used by the rank's thread. A rank may free its memory only when all
// ranks have called close(): freeing memory that another process has open is undefined behaviour.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "base/status.h"
#include "kernels/buffer.h"
#include "worker/comm/comm.h"

namespace trireme {

// Whether the ranks of a communicator can use peer memory; the same answer on every rank.
struct PeerReach {
  bool is_one_host = false;
  bool is_reachable = false;     // every rank can access the device of every other rank
  int32_t ranks_per_device = 1;  // maximum over the devices, ranks of this communicator only
};
// Collective. For the calling thread's current device.
StatusOr<PeerReach> survey_peers(Comm& control);

// Which ranks of a group share devices. Devices are equal if host (boot id) and PCI address are.
struct DeviceShare {
  int32_t ranks_per_device = 1;       // maximum over the group's devices
  int32_t num_multiprocessors = 1;    // of the smallest device
  std::vector<int32_t> ranks_here{};  // on this rank's device, ascending, with this rank
};
// Collective over the group. For the calling thread's current device. TRI-CUDA-021, on every rank:
// ranks of one process share a device, and it has fewer hardware queues
// (CUDA_DEVICE_MAX_CONNECTIONS) than they have streams there. Then two streams share a queue, and a
// rank that waits for a peer can stand in front of the peer's work.
StatusOr<DeviceShare> survey_devices(Comm& group);

class PeerArena {
 public:
  // Collective. `memory` is one whole allocation on this rank's device (cudaIpc shares
  // allocations); `peers` are names for errors. `process`: ranks with different numbers use cudaIpc
  // handles; 0: a random number of this process. TRI-CUDA-012: this rank cannot access another
  // rank's memory; names the rank, its device and the reason. TRI-CUDA-016: another rank has
  // failed.
  static StatusOr<PeerArena> open(Buffer memory,
                                  Comm& control,
                                  const std::vector<std::string>& peers,
                                  uint64_t process = 0);
  PeerArena(PeerArena&&) = default;
  ~PeerArena() { close(); }

  // Closes the peers' memory, which this rank must not use from now on.
  void close();

  int64_t bytes() const { return memory_.bytes(); }
  std::byte* own() const { return memory_.data(); }
  std::byte* of(int rank) const { return addresses_[rank]; }
  bool is_on_own_device(int rank) const { return on_own_device_[rank]; }

 private:
  PeerArena() = default;

  Buffer memory_;
  std::vector<std::byte*> addresses_;  // by rank
  std::vector<bool> on_own_device_;    // by rank
  std::vector<void*> opened_;          // of other processes
};

}  // namespace trireme
