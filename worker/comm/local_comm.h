// Comm among threads of one process, over host memory: the control communicator of ranks that are
// threads. Sends and receives are matched under one mutex; the later of the two copies, so nothing
// is buffered. Sums have the same bits as MpiComm's. Each rank's Comm is used by its thread only; a
// destroyed Comm counts as a rank that has ended.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "worker/comm/comm.h"

namespace trireme {

class LocalMailboxes;

class LocalComm final : public Comm {
 public:
  // The Comms of all ranks, by rank. `name` and `peers` ("rank 3 on node1") appear in errors.
  static std::vector<std::unique_ptr<Comm>> make(const std::string& name,
                                                 const std::vector<std::string>& peers);
  LocalComm(std::shared_ptr<LocalMailboxes> mailboxes, int rank);
  ~LocalComm() override;
  LocalComm(const LocalComm&) = delete;
  LocalComm& operator=(const LocalComm&) = delete;

  int size() const override;
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
  void poll() override {}  // messages are copied when both sides are posted

  // A send or a receive; guarded by the mailboxes' mutex while it is posted.
  struct Post {
    const char* operation = "";
    int from = 0;
    int to = 0;
    int tag = 0;
    const std::byte* source = nullptr;  // of a send
    std::byte* target = nullptr;        // of a receive
    size_t bytes = 0;
    bool is_done = false;
    bool in_use = false;  // its ticket has not been completed or cancelled
  };

 private:
  Ticket post(const Post& post);
  void start_send(const char* operation, std::span<const std::byte> bytes, int to);
  void start_receive(const char* operation, std::span<std::byte> bytes, int from);
  void finish_exchange();
  int peer_of(const Post& post) const { return post.source != nullptr ? post.to : post.from; }
  void fail(const Post& post, bool has_ended);

  std::shared_ptr<LocalMailboxes> mailboxes_;  // shared by the Comms of all ranks
  const int rank_;
  TimeUs deadline_us_ = 0;
  Status status_;
  std::vector<std::unique_ptr<Post>> posts_;  // by ticket
  std::vector<Ticket> exchange_;              // of the collective in progress
  std::vector<float> incoming_;               // a partner's addend
};

}  // namespace trireme
