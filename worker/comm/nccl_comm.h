// Comm over NCCL: device memory of ranks on several hosts, and large sums on one. Built without
// NCCL this is a stub that says so (no_nccl.cc).
//
// Ordered (see comm.h). A send runs on a queue of the Comm's own, so that a peer which takes it
// late holds up only what overwrites its buffer. Nothing here blocks for longer than a deadline:
// NCCL is made non-blocking and asked for its state. A communicator is never aborted: ncclCommAbort
// may hang where a peer is dead, and kernels that wait for it cannot be stopped. A rank that finds
// a failure says so and leaves by exit_rank(), which ends the process with all that hangs in it.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/status.h"
#include "kernels/buffer.h"
#include "worker/comm/comm.h"

namespace trireme {

// What NCCL reads from its environment; empty: its own choice.
struct NcclSettings {
  std::string interface;   // NCCL_SOCKET_IFNAME: "eth0", or "=eth0,eth1"
  std::string adapters;    // NCCL_IB_HCA: "mlx5_0,mlx5_1"
  bool infiniband = true;  // false: sockets only (NCCL_IB_DISABLE)
};
// Once a process, before its first communicator and before it has other threads.
void set_nccl_environment(const NcclSettings& settings);

struct NcclCommOptions {
  std::string name = {};                // "the tensor group"
  std::vector<std::string> peers = {};  // by rank: "rank 3 on node1"
  int64_t piece_bytes = 0;  // over 0: sums gather pieces of so much and are added in rank order
  TimeUs setup_limit_us = 30'000'000;
};

struct NcclLibrary {
  std::string version;  // "2.28.3"
  std::string path;
};
// The one that this process has loaded. TRI-CUDA-010: built without NCCL, or none is on this
// machine and what stands in for it answers.
StatusOr<NcclLibrary> nccl_library();

// Device memory that sums in rank order need.
int64_t nccl_scratch_bytes(const NcclCommOptions& options, int size);
// Collective, over the host communicator `control`, which serves the set-up only; for the calling
// thread's current device. TRI-CUDA-010: built without NCCL; TRI-CUDA-014: NCCL says no;
// TRI-CUDA-015: it did not come up in time.
StatusOr<std::unique_ptr<Comm>> make_nccl_comm(const NcclCommOptions& options,
                                               Buffer scratch,
                                               Comm& control);

}  // namespace trireme
