// Comm over the memory of ranks that share a host: kernels reduce through PeerView, copy engines
// carry messages into rings of slots in the receiver's arena. No kernel waits for a message: the
// queue does, on words that the peer's queue writes (arrived), and slots are given back the same
// way (taken).
//
// Ordered (see comm.h). Memory is taken once, by the caller. One queue uses the Comm at a time:
// another comes after it by Backend::order(). All work waits on the device, so a peer that does not
// come shows only past the deadline: poll() then ends the waits, and status() names the peer. A
// kernel's wait also ends by itself after `wait_limit_us`.
// A rank's queues have ended, or do no more for the Comm, when it goes.
// Messages are never recorded in a graph (their turn is the host's), collectives may be.
#pragma once

#include <cuda.h>
#include <cuda_runtime.h>

#include <memory>
#include <string>
#include <vector>

#include "base/handle.h"
#include "kernels/cuda/cuda_queue.h"
#include "worker/comm/comm.h"
#include "worker/comm/peer_arena.h"

namespace trireme {

// Who sends to whom; a receiver has a ring of slots for each of its senders.
enum class PeerMessages : uint8_t { kNone, kToNext, kLastToFirst, kAll };

struct PeerCommOptions {
  std::string name = {};                // "the tensor group"
  std::vector<std::string> peers = {};  // by rank: "rank 3 on node1"
  int64_t reduce_bytes = 1 << 20;       // of the largest piece of a collective; 0: no collectives
  PeerMessages messages = PeerMessages::kNone;
  int64_t message_bytes = 0;   // of the longest message
  int32_t depth = 2;           // slots of a ring
  bool shares_device = false;  // a device has several ranks of the group
  int32_t max_blocks = 1;      // of a launch; those of all ranks of a device must fit there
  TimeUs wait_limit_us = 30'000'000;
  uint64_t process = 0;  // see PeerArena::open()
};

// What poll() found out about a message: which peer is behind.
struct LateMessage {
  const char* operation = nullptr;  // null: none
  int peer = 0;
};

class PeerComm final : public Comm {
 public:
  // The device memory that rank `rank` of `size` needs, and the memory shared with the host.
  static int64_t arena_bytes(const PeerCommOptions& options, int rank, int size);
  static int64_t shared_bytes(int size);

  // Collective, over the host communicator `control`, which the Comm keeps. `arena` is zeroed
  // memory of the current device and an allocation of its own; `shared` is the backend's shared
  // memory. TRI-CUDA-012: see PeerArena; TRI-CUDA-017: the driver refuses something.
  static StatusOr<std::unique_ptr<PeerComm>> make(const PeerCommOptions& options,
                                                  Buffer arena,
                                                  Buffer shared,
                                                  std::unique_ptr<Comm> control);
  ~PeerComm() override;
  PeerComm(const PeerComm&) = delete;
  PeerComm& operator=(const PeerComm&) = delete;

  // Takes all_reduce() of more than a piece, if given: faster, in an order of its own.
  void set_large(std::unique_ptr<Comm> large) { large_ = std::move(large); }

  int size() const override { return size_; }
  int rank() const override { return rank_; }
  PeerView peers() const override { return view_; }
  bool is_ordered() const override { return true; }
  void set_deadline(TimeUs deadline_us) override;
  Status status() const override;

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
  void complete(Ticket) override {}  // the queue's order is enough
  bool is_complete(Ticket) override { return true; }
  void cancel(Ticket) override;
  void poll() override;

 private:
  using StreamValue = CUresult (*)(CUstream, CUdeviceptr, cuuint32_t, unsigned);
  using Stream = Handle<cudaStream_t, cudaStreamDestroy>;

  PeerComm(const PeerCommOptions& options,
           PeerArena arena,
           Buffer shared,
           std::unique_ptr<Comm> control);
  Status open_driver();
  void fill_view();
  cuda::CudaQueue& use(Queue& queue);
  uint32_t* arrived(int owner, int from) const;
  uint32_t* taken(int owner, int to) const;
  std::byte* slot(int owner, int from, uint32_t turn) const;
  void put(cuda::CudaQueue& queue, std::span<const std::byte> bytes, int to);
  void take(cuda::CudaQueue& queue, std::span<std::byte> bytes, int from);
  void write_value(cuda::CudaQueue& queue, uint32_t* word, uint32_t value);
  void wait_value(cuda::CudaQueue& queue, uint32_t* word, uint32_t value);

  bool is_late() const;
  void give_up();
  LateMessage late_message();
  void release_waits();
  bool finish_side_copies();
  Status named_late(const char* operation, int peer) const;

  const PeerCommOptions options_;
  PeerArena arena_;
  Buffer shared_;
  std::unique_ptr<Comm> control_;
  std::unique_ptr<Comm> large_;
  const int rank_;
  const int size_;
  PeerView view_;
  StreamValue write_value_ = nullptr;
  StreamValue wait_value_ = nullptr;
  Stream side_;  // for a look at the words while the queue waits
  SteadyClock clock_;
  TimeUs deadline_us_ = 0;
  Status status_;
  std::weak_ptr<cuda::CudaQueue> last_queue_;
  std::vector<uint32_t> sent_;      // messages, by peer
  std::vector<uint32_t> received_;  // by peer
};

}  // namespace trireme
