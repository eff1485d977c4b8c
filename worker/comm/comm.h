// Collectives and messages among the ranks of one communicator, enqueued like ops.
//
// Spans and tensors are memory of the backend: the host's on the CPU (MPI, threads of one process),
// the device's on CUDA (peer memory, NCCL). Sums across ranks:
// - CPU: fp32, added by recursive doubling at distance 1, 2, 4 with the lower rank's value on the
//   left: the upper part of the one balanced tree that every row-split matmul uses
//   (docs/numerics.md).
// - CUDA: fp32, bf16 or fp16 travel as they are, are added in fp32 in rank order and rounded once,
//   whatever the size (over NCCL, in the fast mode, in no promised order).
//
// No call waits for ever. The step's deadline is set once with set_deadline(); an operation that
// reaches it, or whose peer is gone, leaves a Status that names the operation and the peer, and
// every later operation does nothing. The caller looks at status() once a step and leaves the
// group. One thread (the step loop) uses a Comm.
//
// A device's Comm (is_ordered()) blocks in no call: operations run on the device in the order of
// the queue. Past the deadline, poll() ends what the device waits for and finds out the peer.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "base/clock.h"
#include "base/status.h"
#include "kernels/backend.h"
#include "kernels/peer_view.h"
#include "kernels/tensor.h"

namespace trireme {

// A message under way. Its buffer must stay untouched (send) or unread (receive) until complete().
using Ticket = int32_t;

class Comm {
 public:
  virtual ~Comm() = default;

  virtual int size() const = 0;
  virtual int rank() const = 0;
  virtual PeerView peers() const { return {}; }
  // Messages are ordered by their queues: receive() makes the queue wait for the message, whose
  // size it names exactly, so it is called when the queue's next work reads it; complete() of a
  // send makes the queue wait where it must. A pair's messages are received in the order sent.
  virtual bool is_ordered() const { return false; }

  virtual void set_deadline(TimeUs deadline_us) = 0;
  virtual Status status() const = 0;

  // tensor [rows, width], contiguous: the sum over ranks, the same bits on every rank.
  virtual void all_reduce(Queue& queue, Tensor tensor) = 0;
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
  // Blocks until the message is through, or until the deadline; never on a device's Comm.
  virtual void complete(Ticket ticket) = 0;
  virtual bool is_complete(Ticket ticket) = 0;
  // Takes back a receive that nobody will answer.
  virtual void cancel(Ticket ticket) = 0;

  // Lets messages under way progress; called by the step loop while it has nothing else to do.
  virtual void poll() = 0;
};

}  // namespace trireme
