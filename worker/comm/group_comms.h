// The communicators of one rank of a group, however its ranks were started.
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
  std::unique_ptr<Comm> pipeline;  // equal tensor index, along the stages: residuals go down it
  std::unique_ptr<Comm> tokens;    // the same ranks: drawn ids go back to stage 0
};

// One small message of each kind that comes besides a step's sums and residuals: between the ranks
// of a stage (whole rows of logits), and from the last stage to the first (drawn ids). `memory`: 32
// bytes a rank of the stage, of the device; the queue's work uses it.
void exchange_first_messages(GroupComms& comms, Queue& queue, std::span<std::byte> memory);

// The group of one rank, without MPI.
GroupComms solo_group();

}  // namespace trireme
