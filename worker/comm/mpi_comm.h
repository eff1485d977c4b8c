// Comm over one MPI communicator, for the CPU backend. Every wait is a nonblocking call with a test
// loop under a deadline, because a blocking call never returns once a peer is dead, not even under
// MPI_ERRORS_RETURN. Groups are small (at most 16 ranks), so collectives are direct exchanges.
// Used by the step loop's thread only (MPI_THREAD_FUNNELED). Owns the communicator.
#pragma once

#include <mpi.h>

#include <string>
#include <vector>

#include "worker/comm/comm.h"

namespace trireme {

class MpiComm final : public Comm {
 public:
  // `name` and `peers` (one per rank of the communicator, "rank 3 on node1") appear in errors.
  MpiComm(MPI_Comm communicator, std::string name, std::vector<std::string> peers);
  ~MpiComm() override;
  MpiComm(const MpiComm&) = delete;
  MpiComm& operator=(const MpiComm&) = delete;

  int size() const override { return size_; }
  int rank() const override { return rank_; }
  void set_deadline(TimeUs deadline_us) override { deadline_us_ = deadline_us; }
  Status status() const override { return status_; }

  void all_reduce(Queue& queue, Tensor tensor) override;
  void all_gather(Queue& queue,
                  std::span<const std::byte> local,
                  std::span<std::byte> all) override;
  void all_to_all(Queue& queue,
                  std::span<const std::byte> send,
                  std::span<const int64_t> send_offsets,
                  std::span<std::byte> receive,
                  std::span<const int64_t> receive_offsets) override;
  void broadcast(Queue& queue, std::span<std::byte> bytes, int root) override;
  Ticket send(Queue& queue, std::span<const std::byte> bytes, int to, int tag) override;
  Ticket receive(Queue& queue, std::span<std::byte> bytes, int from, int tag) override;
  void complete(Ticket ticket) override;
  bool is_complete(Ticket ticket) override;
  void cancel(Ticket ticket) override;
  void poll() override;

 private:
  struct Message {
    MPI_Request request = MPI_REQUEST_NULL;
    int peer = -1;
    const char* operation = "";
    bool in_use = false;
  };

  void start_send(std::span<const std::byte> bytes, int to);
  void start_receive(std::span<std::byte> bytes, int from);
  void finish_exchange(const char* operation);
  Ticket new_ticket(MPI_Request request, int peer, const char* operation);
  void check(int result, const char* operation, int peer);
  void fail_late(const char* operation, int peer);
  int late_peer() const;

  MPI_Comm communicator_;
  const std::string name_;
  const std::vector<std::string> peers_;
  int rank_ = 0;
  int size_ = 1;
  SteadyClock clock_;
  TimeUs deadline_us_ = 0;
  Status status_;
  std::vector<MPI_Request> exchange_;  // of the collective in progress
  std::vector<int> exchange_peers_;
  std::vector<Message> messages_;  // by ticket
  std::vector<float> incoming_;    // a partner's addend
};

}  // namespace trireme
