// Comm over NCCL: device memory of ranks on several hosts, and large sums on one host. A build
// without NCCL links a stub that returns errors (no_nccl.cc).
//
// Ordered (see comm.h). Sends run on the Comm's own stream, so that a peer which receives late
// delays only work that overwrites the buffer. Every call is bounded: NCCL's calls block, because a
// non-blocking communicator starts a thread for each; a guard ends the process when one does not
// return, and those that make and end a communicator run on a thread of their own. A communicator
// is never aborted: ncclCommAbort can hang when a peer is
// dead, and kernels that wait for that peer cannot be stopped. A rank that finds a failure reports
// it and calls exit_rank(), which ends the process with everything that hangs in it.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/status.h"
#include "kernels/buffer.h"
#include "worker/comm/comm.h"

namespace trireme {

// Environment variables of NCCL; empty: NCCL chooses.
struct NcclSettings {
  std::string interface;   // NCCL_SOCKET_IFNAME: "eth0", or "=eth0,eth1"
  std::string adapters;    // NCCL_IB_HCA: "mlx5_0,mlx5_1"
  bool infiniband = true;  // false: sockets only (NCCL_IB_DISABLE)
};
// Call once per process, before its first communicator and before other threads start.
void set_nccl_environment(const NcclSettings& settings);

struct NcclCommOptions {
  std::string name = {};                // "the tensor group"
  std::vector<std::string> peers = {};  // by rank: "rank 3 on node1"
  int64_t piece_bytes = 0;   // > 0: sums gather pieces of this size and add them in rank order
  bool is_captured = false;  // its sums become nodes of graphs
  TimeUs setup_limit_us = 30'000'000;
  TimeUs call_limit_us = 10'000'000;  // of a call; the first one between two ranks connects them
};

struct NcclLibrary {
  std::string version;  // "2.28.3"
  std::string path;
};
// The library that this process has loaded. TRI-CUDA-010: built without NCCL, or this machine has
// none and the stub library answers.
StatusOr<NcclLibrary> nccl_library();

// Bytes of device memory for sums in rank order, and for the probe of a capture.
int64_t nccl_scratch_bytes(const NcclCommOptions& options, int size);
// Collective over the host communicator `control`, which is used for set-up only; on the calling
// thread's current device. TRI-CUDA-010: built without NCCL. TRI-CUDA-014: NCCL reports an error.
// TRI-CUDA-015: the ranks did not connect within setup_limit_us. TRI-CUDA-023: options.is_captured,
// and a captured sum failed or had another result than a plain one.
StatusOr<std::unique_ptr<Comm>> make_nccl_comm(const NcclCommOptions& options,
                                               Buffer scratch,
                                               Comm& control);

}  // namespace trireme
