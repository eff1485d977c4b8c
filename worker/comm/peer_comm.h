// Comm over device memory of ranks that share a host. Kernels reduce through PeerView; copy engines
// write messages into rings of slots in the receiver's arena. No kernel waits for a message: the
// stream waits on a word that the sender's stream writes (arrived); a slot is returned by a second
// word (taken).
//
// Ordered (see comm.h). The caller allocates all memory once. One queue uses the Comm at a time;
// Backend::order() puts another one after it. All waits are on the device, so a late peer shows
// only past the deadline: poll() then ends the waits, and status() names the peer. A kernel also
// ends its own wait after `wait_limit_us`. Before the Comm is destroyed, the rank's queues have
// finished all work on it. Collectives can be captured in a graph; messages cannot, because the
// host counts their turns.
#pragma once

#include <cuda.h>
#include <cuda_runtime.h>

#include <memory>
#include <string>
#include <vector>

#include "kernels/cuda/cuda_queue.h"
#include "worker/comm/comm.h"
#include "worker/comm/peer_arena.h"

namespace trireme {

// The pairs of ranks that exchange messages; a receiver has one ring of slots per sender.
enum class PeerMessages : uint8_t { kNone, kToNext, kLastToFirst, kAll };

struct PeerCommOptions {
  std::string name = {};                // "the tensor group"
  std::vector<std::string> peers = {};  // by rank: "rank 3 on node1"
  int64_t reduce_bytes = 1 << 20;       // maximum of a collective's piece; 0: no collectives
  PeerMessages messages = PeerMessages::kNone;
  int64_t message_bytes = 0;        // maximum of a message
  int32_t depth = 2;                // slots per ring
  int32_t num_multiprocessors = 1;  // of the group's smallest device
  int32_t ranks_per_device = 1;     // maximum over the group's devices
  TimeUs wait_limit_us = 30'000'000;
  uint64_t process = 0;  // see PeerArena::open()
  // The rank's side queue: reads and writes the words of messages while the queue waits. The Comm
  // may outlive it.
  cuda::CudaQueue* side = nullptr;
};

// The message that the device waits for past its deadline, and its peer.
struct LateMessage {
  const char* operation = nullptr;  // null: none
  int peer = 0;
};

class PeerComm final : public Comm {
 public:
  // Bytes of device memory that rank `rank` of `size` needs, and of memory shared with the host.
  static int64_t arena_bytes(const PeerCommOptions& options, int rank, int size);
  static int64_t shared_bytes(int size);

  // Collective over the host communicator `control`, which the Comm owns from now on. `arena` is
  // one whole zeroed allocation on the current device; `shared` is memory shared with the host,
  // from the backend. TRI-CUDA-012, 016: see PeerArena. TRI-CUDA-017: a CUDA call fails.
  // TRI-CUDA-022: a device cannot hold a block of each of its ranks at once.
  static StatusOr<std::unique_ptr<PeerComm>> make(const PeerCommOptions& options,
                                                  Buffer arena,
                                                  Buffer shared,
                                                  std::unique_ptr<Comm> control);
  ~PeerComm() override;
  PeerComm(const PeerComm&) = delete;
  PeerComm& operator=(const PeerComm&) = delete;

  // Used for an all_reduce() of more than one piece, if set: faster, in an unspecified order.
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
  bool gathers_rows() const override { return options_.reduce_bytes > 0; }
  void gather_rows(Queue& queue,
                   Tensor local,
                   const SamplingRow* rows,
                   int32_t first,
                   Tensor whole,
                   std::span<const int64_t> columns) override;
  Ticket send(Queue& queue, std::span<const std::byte> bytes, int to, int tag) override;
  Ticket receive(Queue& queue, std::span<std::byte> bytes, int from, int tag) override;
  void complete(Ticket) override {}  // queue order suffices
  bool is_complete(Ticket) override { return true; }
  void cancel(Ticket) override;
  void poll() override;

 private:
  using StreamValue = CUresult (*)(CUstream, CUdeviceptr, cuuint32_t, unsigned);

  PeerComm(const PeerCommOptions& options,
           PeerArena arena,
           Buffer shared,
           std::unique_ptr<Comm> control);
  Status open_driver();
  Status choose_blocks();
  void fill_view();
  cuda::CudaQueue& use(Queue& queue);
  uint32_t* arrived(int owner, int from) const;
  uint32_t* taken(int owner, int to) const;
  std::byte* slot(int owner, int from, uint32_t turn) const;
  void put(cuda::CudaQueue& queue, std::span<const std::byte> bytes, int to);
  void take(cuda::CudaQueue& queue, std::span<std::byte> bytes, int from);
  void write_value(cuda::CudaQueue& queue, uint32_t* word, uint32_t value);
  void wait_value(cuda::CudaQueue& queue, uint32_t* word, uint32_t value, int writer);

  bool is_late() const;
  void give_up();
  LateMessage late_message();
  void release_waits();
  bool copy_on_side(void* to, const void* from, int64_t bytes, cudaMemcpyKind kind);
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
  bool can_flush_ = false;       // a wait can flush remote writes
  int32_t resident_blocks_ = 0;  // of the waiting kernels, per multiprocessor
  const std::weak_ptr<cuda::CudaQueue> side_;
  SteadyClock clock_;
  TimeUs deadline_us_ = 0;
  Status status_;
  std::weak_ptr<cuda::CudaQueue> last_queue_;
  std::vector<uint32_t> sent_;      // messages, by peer
  std::vector<uint32_t> received_;  // by peer
};

}  // namespace trireme
