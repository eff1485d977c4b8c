// Collectives and messages among the ranks of one communicator, enqueued like ops.
//
// CPU: MPI. CUDA: NCCL or peer memory. Sums across ranks are fp32 on the CPU, added by recursive
// doubling at distance 1, 2, 4 with the lower rank's value on the left: the upper part of the one
// balanced tree that every row-split matmul uses (docs/numerics.md).
//
// No call waits for ever. The step's deadline is set once with set_deadline(); an operation that
// reaches it, or whose peer is gone, leaves a Status that names the operation and the peer, and
// every later operation does nothing. The caller looks at status() once a step and leaves the
// group. One thread (the step loop) uses a Comm.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "base/clock.h"
#include "base/status.h"
#include "kernels/backend.h"
#include "kernels/tensor.h"

namespace trireme {

// A plain view of peers' memory for kernels that reduce by themselves (CUDA). n = 0: not available.
struct PeerView {
  int32_t n = 0;
  int32_t self = 0;
  void* const* buffers = nullptr;
  uint32_t* const* flags = nullptr;
  const uint32_t* abort = nullptr;
};

// A message under way. Its buffer must stay untouched (send) or unread (receive) until complete().
using Ticket = int32_t;

class Comm {
 public:
  virtual ~Comm() = default;

  virtual int size() const = 0;
  virtual int rank() const = 0;
  virtual PeerView peers() const { return {}; }

  virtual void set_deadline(TimeUs deadline_us) = 0;
  virtual Status status() const = 0;

  // tensor [rows, width] fp32, contiguous: the sum over ranks, the same bits on every rank.
  virtual void all_reduce(Queue& queue, Tensor tensor) = 0;
  // Rank r keeps the sum of rows [offsets[r], offsets[r + 1]).
  virtual void reduce_scatter(Queue& queue, Tensor tensor, std::span<const int64_t> offsets) = 0;
  // all = the ranks' `local` bytes one after another; equal sizes.
  virtual void all_gather(Queue& queue,
                          std::span<const std::byte> local,
                          std::span<std::byte> all) = 0;
  // Sends send[offsets] pieces (bytes) to each rank and receives theirs.
  virtual void all_to_all(Queue& queue,
                          std::span<const std::byte> send,
                          std::span<const int64_t> send_offsets,
                          std::span<std::byte> receive,
                          std::span<const int64_t> receive_offsets) = 0;
  virtual void broadcast(Queue& queue, std::span<std::byte> bytes, int root) = 0;

  // Point to point, started now and finished in the background as poll() or any wait makes
  // progress.
  virtual Ticket send(Queue& queue, std::span<const std::byte> bytes, int to, int tag) = 0;
  virtual Ticket receive(Queue& queue, std::span<std::byte> bytes, int from, int tag) = 0;
  // Blocks until the message is through, or until the deadline.
  virtual void complete(Ticket ticket) = 0;
  virtual bool is_complete(Ticket ticket) = 0;
  // Takes back a receive that nobody will answer.
  virtual void cancel(Ticket ticket) = 0;

  // Lets messages under way progress; called by the step loop while it has nothing else to do.
  virtual void poll() = 0;
};

}  // namespace trireme
