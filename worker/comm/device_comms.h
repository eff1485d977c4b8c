// Moves a group's communicators to device memory: peer memory where all ranks of a communicator
// share a host and their devices see one another, NCCL elsewhere. Ranks of a communicator that
// share a device always use peer memory. Built without CUDA this is a stub that says so
// (no_device_comms.cc).
#pragma once

#include <cstdint>

#include "base/cuda_memory.h"
#include "base/status.h"
#include "kernels/backend.h"
#include "worker/comm/group_comms.h"
#include "worker/comm/peer_arena.h"

namespace trireme {

struct DeviceCommOptions {
  int64_t residual_bytes = 0;  // of the largest step: max_batched_tokens x hidden_size x element
  int64_t token_bytes = 0;     // drawn ids of a step: max_slots x 4
  int64_t reduce_bytes = kCudaReduceBytes;      // of the largest piece of a sum
  int64_t exchange_bytes = kCudaExchangeBytes;  // of a piece of an all_to_all between two ranks
  bool in_rank_order = false;                   // --invariant: sums of every size add in rank order
  TimeUs wait_limit_us = 60'000'000;            // of a kernel, should nobody end its wait
  TimeUs meet_limit_us = 600'000'000;           // for the slowest rank to have loaded its weights
  TimeUs setup_limit_us = 30'000'000;           // from then on, for each communicator
};

// Collective over the group; after the weights are loaded, on the thread that uses the backend.
// comms.tensor, comms.pipeline and comms.tokens, where they have more than one rank, become ordered
// communicators over the backend's memory; comms.group stays as it is. Ranks that share a device:
// no rank may use them before all ranks have made their last allocation, which waits for the
// device. Takes all memory now. Returns which ranks share devices. TRI-CUDA-011: built without
// CUDA; TRI-CUDA-018: ranks share a device, but cannot use peer memory; others: see PeerComm and
// make_nccl_comm(). The group is of no use after a failure.
StatusOr<DeviceShare> use_device_comms(GroupComms& comms,
                                       Backend& backend,
                                       const DeviceCommOptions& options);

}  // namespace trireme
