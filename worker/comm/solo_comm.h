// The Comm of a communicator with one rank: collectives copy at most; messages are programming
// errors. Uses no MPI.
#pragma once

#include "worker/comm/comm.h"

namespace trireme {

class SoloComm final : public Comm {
 public:
  int size() const override { return 1; }
  int rank() const override { return 0; }
  void set_deadline(TimeUs) override {}
  Status status() const override { return ok_status(); }

  void all_reduce(Queue&, Tensor) override {}
  void all_gather(Queue& queue,
                  std::span<const std::byte> local,
                  std::span<std::byte> all) override;
  void all_to_all(Queue& queue,
                  std::span<const std::byte> send,
                  std::span<const int64_t> send_offsets,
                  std::span<std::byte> receive,
                  std::span<const int64_t> receive_offsets) override;
  void broadcast(Queue&, std::span<std::byte>, int) override {}

  // There is no peer: these fail a CHECK.
  Ticket send(Queue& queue, std::span<const std::byte> bytes, int to, int tag) override;
  Ticket receive(Queue& queue, std::span<std::byte> bytes, int from, int tag) override;
  void complete(Ticket) override {}
  bool is_complete(Ticket) override { return true; }
  void cancel(Ticket) override {}
  void poll() override {}
};

}  // namespace trireme
