// Replaces a group's communicators by ones over device memory: peer memory where all ranks of a
// communicator share a host and their devices can access one another, NCCL elsewhere. Ranks that
// share a device always use peer memory. A build without CUDA links a stub that returns an error
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
  int64_t token_bytes = 0;     // drawn ids of a step: 4 max_slots
  int64_t reduce_bytes = kCudaReduceBytes;      // maximum of one piece of a sum
  int64_t exchange_bytes = kCudaExchangeBytes;  // maximum of one piece of an all_to_all
  bool in_rank_order = false;                   // --invariant: sums of every size add in rank order
  TimeUs wait_limit_us = 180'000'000;           // a kernel ends its own wait after it
  TimeUs meet_limit_us = 600'000'000;           // for all ranks to have loaded their weights
  TimeUs setup_limit_us = 30'000'000;           // then, per communicator
};

// Collective over the group, before anything is loaded, on the thread that uses the backend: which
// ranks share devices. TRI-CUDA-011: built without CUDA. TRI-CUDA-021: see survey_devices().
StatusOr<DeviceShare> find_device_share(GroupComms& comms);

// Collective over the group; call it once the weights are loaded, on the thread that uses the
// backend. comms.tensor, comms.pipeline and comms.tokens, where they have more than one rank,
// become ordered communicators over the backend's memory; comms.group stays a host communicator.
// Takes all memory now. Where ranks share a device, no rank may use the communicators before all
// ranks have made their last allocation, because an allocation waits for the device. `share`: of
// find_device_share(). TRI-CUDA-011: built without CUDA. TRI-CUDA-018: ranks share a device, but
// cannot use peer memory. Others: see PeerComm and make_nccl_comm(). After a failure the group is
// unusable.
Status use_device_comms(GroupComms& comms,
                        Backend& backend,
                        const DeviceShare& share,
                        const DeviceCommOptions& options);

}  // namespace trireme
