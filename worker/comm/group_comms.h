// The communicators of one rank of a group, the same for ranks under MPI and for threads. Owned by
// the rank, used by its step loop.
#pragma once

#include <cstddef>
#include <memory>
#include <span>

#include "kernels/backend.h"
#include "worker/comm/comm.h"

namespace trireme {

// The communicators of one rank of a group of tp x pp ranks.
struct GroupComms {
  int rank = 0;  // stage * tp + tensor index
  int stage = 0;
  int tensor_index = 0;
  std::unique_ptr<Comm> group;     // all ranks, in order
  std::unique_ptr<Comm> tensor;    // the ranks of this stage; rank there = tensor index
  std::unique_ptr<Comm> pipeline;  // equal tensor index, by stage: residuals to the next stage
  std::unique_ptr<Comm> tokens;    // the same ranks: drawn ids back to stage 0
};

// Sends one small message of each kind that padded steps do not use, so that libraries allocate for
// it now: all_to_all within the stage (whole rows of logits), last stage to first (drawn ids).
// `memory`: device memory, 32 bytes per rank of the stage; the queue's work uses it.
void exchange_first_messages(GroupComms& comms, Queue& queue, std::span<std::byte> memory);

// The communicators of a group of one rank, without MPI.
GroupComms solo_group();

}  // namespace trireme
