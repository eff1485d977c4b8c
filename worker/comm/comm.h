// Collectives and messages among the ranks of one communicator, enqueued like ops.
//
// Spans and tensors are memory of the backend: host memory on the CPU (MPI, threads of one
// process), device memory on CUDA (peer memory, NCCL). Sums across ranks:
// - CPU: fp32, added by recursive doubling at distance 1, 2, 4 with the lower rank's value on the
//   left: the upper part of the one balanced tree that every row-split matmul uses
//   (docs/numerics.md).
// - CUDA: fp32, bf16 or fp16 are sent as stored, added in fp32 in rank order and rounded once, for
//   every size (over NCCL in the fast mode: in an unspecified order).
//
// Every wait is bounded. set_deadline() sets the deadline once per step; an operation that reaches
// it, or whose peer is gone, leaves a Status that names the operation and the peer, and every later
// operation does nothing. The caller checks status() once per step and leaves the group on an
// error. One thread (the step loop) uses a Comm.
//
// An ordered Comm (is_ordered(), of a device) blocks in no call: operations run on the device in
// queue order. Past the deadline, poll() ends the device's waits and finds the late peer.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "base/check.h"
#include "base/clock.h"
#include "base/status.h"
#include "kernels/backend.h"
#include "kernels/peer_view.h"
#include "kernels/tensor.h"

namespace trireme {

// A message in flight. Its buffer must not be written (send) or read (receive) before complete().
using Ticket = int32_t;

class Comm {
 public:
  virtual ~Comm() = default;

  virtual int size() const = 0;
  virtual int rank() const = 0;
  virtual PeerView peers() const { return {}; }
  // Messages follow queue order: receive() makes the queue wait for a message of exactly this size,
  // so it is called right before the work that reads it; complete() of a send makes the queue wait
  // if needed. Messages of a pair of ranks are received in the order sent.
  virtual bool is_ordered() const { return false; }

  virtual void set_deadline(TimeUs deadline_us) = 0;
  virtual Status status() const = 0;

  // tensor [rows, width], contiguous, becomes the sum over ranks: the same bits on every rank.
  virtual void all_reduce(Queue& queue, Tensor tensor) = 0;
  // all = the ranks' `local` bytes one after another; equal sizes.
  virtual void all_gather(Queue& queue,
                          std::span<const std::byte> local,
                          std::span<std::byte> all) = 0;
  // Sends bytes [send_offsets[r], send_offsets[r + 1]) of `send` to rank r and receives rank r's
  // bytes into [receive_offsets[r], receive_offsets[r + 1]) of `receive`.
  virtual void all_to_all(Queue& queue,
                          std::span<const std::byte> send,
                          std::span<const int64_t> send_offsets,
                          std::span<std::byte> receive,
                          std::span<const int64_t> receive_offsets) = 0;
  virtual void broadcast(Queue& queue, std::span<std::byte> bytes, int root) = 0;
  // Whether gather_rows() can be called; the same on every rank.
  virtual bool gathers_rows() const { return false; }
  // Whether captured steps can have whole rows: a rank alone holds them.
  bool has_whole_rows() const { return size() == 1 || gathers_rows(); }
  // gather_rows(queue, local, rows, first, whole, columns):
  // whole[i - first, columns[r] .. columns[r + 1]) = rank r's local[i, :] for every rank r and the
  // rows i of [first, first + whole.rows) that rows[i].needs_whole_row(). Which ones do is read on
  // the device, so it can be captured. local: [m, columns of this rank] fp32; m, columns and the
  // rows' parameters are the same on every rank.
  virtual void gather_rows(
      Queue&, Tensor, const SamplingRow*, int32_t, Tensor, std::span<const int64_t>) {
    CHECK_THAT(false, "this communicator gathers no rows");
  }

  // Point to point: starts now, progresses in poll() and in every wait.
  virtual Ticket send(Queue& queue, std::span<const std::byte> bytes, int to, int tag) = 0;
  virtual Ticket receive(Queue& queue, std::span<std::byte> bytes, int from, int tag) = 0;
  // Blocks until the message is complete or the deadline; an ordered Comm never blocks.
  virtual void complete(Ticket ticket) = 0;
  virtual bool is_complete(Ticket ticket) = 0;
  // Cancels a receive whose message will not come.
  virtual void cancel(Ticket ticket) = 0;

  // Makes progress on messages in flight; the step loop calls it while idle.
  virtual void poll() = 0;
};

}  // namespace trireme
