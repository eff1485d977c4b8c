#include "worker/comm/peer_comm.h"

#include <algorithm>
#include <atomic>
#include <utility>

#include "base/check.h"
#include "base/cuda_memory.h"
#include "base/spin_wait.h"
#include "kernels/cuda/peer/peer_gather.h"
#include "kernels/cuda/peer/peer_reduce.h"
#include "kernels/cuda/peer/peer_rows.h"
#include "worker/comm/host_collectives.h"
#include "worker/comm/peer_layout.h"
#include "worker/comm/stream_wait.h"

namespace trireme {
namespace {

constexpr TimeUs kFirstDeadlineUs = 20'000'000;  // until the caller sets one
constexpr TimeUs kMeetUs = 5'000'000;            // for the barrier in the destructor
constexpr TimeUs kSideUs = 500'000;              // for a small copy on the side stream
constexpr TimeUs kReportUs = 100'000;            // for an aborted kernel to report

const char* name_of(PeerOperation operation) {
  switch (operation) {
    case PeerOperation::kAllGather:
      return "all_gather";
    case PeerOperation::kBroadcast:
      return "broadcast";
    case PeerOperation::kGatherRows:
      return "gather_rows";
    default:
      return "all_reduce";
  }
}

}  // namespace

int64_t PeerComm::arena_bytes(const PeerCommOptions& options, int rank, int size) {
  const int64_t ring = options.depth * peer_aligned(options.message_bytes);
  const int64_t bytes =
      PeerLayout(options, size).slots + num_senders(options.messages, rank, size) * ring;
  return aligned(bytes, kCudaArenaUnitBytes);
}

int64_t PeerComm::shared_bytes(int size) {
  return int64_t{sizeof(SharedWords)} + words_bytes(size);
}

StatusOr<std::unique_ptr<PeerComm>> PeerComm::make(const PeerCommOptions& options,
                                                   Buffer arena,
                                                   Buffer shared,
                                                   std::unique_ptr<Comm> control) {
  const int size = control->size();
  CHECK(static_cast<int>(options.peers.size()) == size && options.depth > 0);
  CHECK(options.reduce_bytes % 16 == 0 && (options.reduce_bytes == 0 || size <= kMaxPeers));
  CHECK(arena.bytes() >= arena_bytes(options, control->rank(), size));
  CHECK(shared.bytes() >= shared_bytes(size));
  CHECK(options.side != nullptr);
  ASSIGN_OR_RETURN(PeerArena opened,
                   PeerArena::open(std::move(arena), *control, options.peers, options.process));
  std::unique_ptr<PeerComm> comm(
      new PeerComm(options, std::move(opened), std::move(shared), std::move(control)));
  RETURN_IF_ERROR(agree(*comm->control_, comm->open_driver(), options.peers));
  RETURN_IF_ERROR(comm->choose_blocks());
  comm->fill_view();
  return comm;
}

PeerComm::PeerComm(const PeerCommOptions& options,
                   PeerArena arena,
                   Buffer shared,
                   std::unique_ptr<Comm> control)
    : options_(options),
      arena_(std::move(arena)),
      shared_(std::move(shared)),
      control_(std::move(control)),
      rank_(control_->rank()),
      size_(control_->size()),
      side_(options.side->watch()),
      sent_(size_),
      received_(size_) {
  deadline_us_ = clock_.now_us() + kFirstDeadlineUs;
}

// The arena may be freed once all peers have closed it: close, then a barrier. After a failure
// there is no barrier. If the barrier fails while the queue still waits for a peer, the wait is
// ended.
PeerComm::~PeerComm() {
  arena_.close();
  if (!status().ok()) return;
  if (!meet_all(*control_, kMeetUs).ok() && is_late()) give_up();
}

Status PeerComm::open_driver() {
  const auto refused = [](const char* what, cudaError_t error) {
    return unavailable("TRI-CUDA-017",
                       "{} failed while communicators were set up: {}; look at the driver and the "
                       "device with nvidia-smi -q",
                       what,
                       cudaGetErrorString(error));
  };
  // Entry points instead of linking libcuda, so that the program starts on machines without it.
  constexpr unsigned kVersion = 12000;
  const auto find = [](const char* symbol, StreamValue& function) {
    cudaDriverEntryPointQueryResult found;
    const cudaError_t error = cudaGetDriverEntryPointByVersion(
        symbol, reinterpret_cast<void**>(&function), kVersion, 0, &found);
    if (error != cudaSuccess) return error;
    return found == cudaDriverEntryPointSuccess ? cudaSuccess : cudaErrorNotSupported;
  };
  cudaError_t error = find("cuStreamWriteValue32", write_value_);
  if (error == cudaSuccess) error = find("cuStreamWaitValue32", wait_value_);
  if (error != cudaSuccess) return refused("finding stream memory operations", error);
  error = cuda::prepare_peer_reduce(resident_blocks_);
  if (error == cudaSuccess) error = cuda::prepare_peer_gather(resident_blocks_);
  if (error == cudaSuccess) error = cuda::prepare_peer_rows(resident_blocks_);
  if (error != cudaSuccess) return refused("loading kernels", error);
  int device = 0;
  int can_flush = 0;
  error = cudaGetDevice(&device);
  if (error == cudaSuccess) {
    error = cudaDeviceGetAttribute(&can_flush, cudaDevAttrCanFlushRemoteWrites, device);
  }
  if (error != cudaSuccess) return refused("asking for flushes of remote writes", error);
  can_flush_ = can_flush != 0;
  return ok_status();
}

// Blocks of a launch on every rank: each rank's share of the device's multiprocessors. Blocks that
// wait may keep a multiprocessor from the kernels of the rank that they wait for, whose blocks can
// be larger; so the waiting ranks never have a block on all of them.
Status PeerComm::choose_blocks() {
  if (options_.reduce_bytes == 0) return ok_status();
  ASSIGN_OR_RETURN(const std::vector<int32_t> resident, gather_values(*control_, resident_blocks_));
  const int32_t fewest = *std::ranges::min_element(resident);
  view_.max_blocks = fewest == 0 ? 0 : options_.num_multiprocessors / options_.ranks_per_device;
  view_.max_blocks = std::min(view_.max_blocks, kMaxPeerBlocks);
  if (view_.max_blocks > 0) return ok_status();
  return invalid(
      "TRI-CUDA-022",
      "{}: {} ranks share a device of {} multiprocessors, each of which holds {} blocks of "
      "the sums' kernels; ranks wait for one another and need a multiprocessor each: give "
      "fewer ranks one device",
      options_.name,
      options_.ranks_per_device,
      options_.num_multiprocessors,
      fewest);
}

void PeerComm::fill_view() {
  if (options_.reduce_bytes == 0) return;
  const PeerLayout layout(options_, size_);
  view_.n = size_;
  view_.self = rank_;
  view_.half_bytes = peer_aligned(options_.reduce_bytes);
  for (int rank = 0; rank < size_; ++rank) {
    view_.buffers[rank] = arena_.of(rank) + layout.halves;
    view_.flags[rank] = reinterpret_cast<uint32_t*>(arena_.of(rank));
  }
  view_.turn = reinterpret_cast<PeerTurn*>(arena_.own() + layout.turn);
  view_.abort = &words_of(shared_).abort;
  view_.report = &words_of(shared_).report;
  view_.wait_limit_ns = static_cast<uint64_t>(options_.wait_limit_us) * 1000;
}

void PeerComm::set_deadline(TimeUs deadline_us) {
  deadline_us_ = deadline_us;
  if (large_) large_->set_deadline(deadline_us);
}

// Reads the kernels' report word at every call: a kernel can end its own wait at any time.
Status PeerComm::status() const {
  if (!status_.ok()) return status_;
  const uint64_t word = std::atomic_ref(words_of(shared_).report).load(std::memory_order_acquire);
  if (word != 0) {
    const PeerReport report = PeerReport::of(word);
    return named_late(name_of(report.operation), report.peer);
  }
  return large_ ? large_->status() : ok_status();
}

cuda::CudaQueue& PeerComm::use(Queue& queue) {
  cuda::CudaQueue& used = cuda::cuda_queue(queue);
  last_queue_ = used.watch();
  return used;
}

void PeerComm::all_reduce(Queue& queue, Tensor tensor) {
  CHECK(tensor.row_stride == tensor.columns || tensor.rows <= 1);
  if (!status().ok()) return;
  if (large_ && tensor.bytes() > view_.half_bytes) return large_->all_reduce(queue, tensor);
  const int64_t width = size_of(tensor.dtype);
  for (int64_t begin = 0; begin < tensor.bytes(); begin += view_.half_bytes) {
    const int64_t bytes = std::min(view_.half_bytes, tensor.bytes() - begin);
    const Tensor piece(tensor.data + begin, tensor.dtype, 1, bytes / width);
    cuda::peer_all_reduce(use(queue), view_, piece);
  }
}

void PeerComm::all_gather(Queue& queue,
                          std::span<const std::byte> local,
                          std::span<std::byte> all) {
  CHECK(all.size() == local.size() * size_);
  if (!status().ok()) return;
  const auto stride = static_cast<int64_t>(local.size());
  for (int64_t begin = 0; begin < stride; begin += view_.half_bytes) {
    const int64_t bytes = std::min(view_.half_bytes, stride - begin);
    cuda::peer_all_gather(
        use(queue), view_, local.data() + begin, bytes, all.data() + begin, stride);
  }
}

void PeerComm::broadcast(Queue& queue, std::span<std::byte> bytes, int root) {
  if (!status().ok()) return;
  const auto total = static_cast<int64_t>(bytes.size());
  for (int64_t begin = 0; begin < total; begin += view_.half_bytes) {
    const int64_t piece = std::min(view_.half_bytes, total - begin);
    cuda::peer_broadcast(use(queue), view_, bytes.data() + begin, piece, root);
  }
}

void PeerComm::gather_rows(Queue& queue,
                           Tensor local,
                           const SamplingRow* rows,
                           int32_t first,
                           Tensor whole,
                           std::span<const int64_t> columns) {
  if (!status().ok()) return;
  cuda::peer_gather_rows(use(queue), view_, local, rows, first, whole, columns);
}

// The size of a transfer is known to its two ranks only, so there is no common kernel launch:
// pieces are sent as messages. Every rank sends piece k to all peers before it waits for piece k of
// any, so ranks cannot deadlock.
void PeerComm::all_to_all(Queue& queue,
                          std::span<const std::byte> send,
                          std::span<const int64_t> send_offsets,
                          std::span<std::byte> receive,
                          std::span<const int64_t> receive_offsets) {
  CHECK(options_.messages == PeerMessages::kAll);
  if (!status().ok()) return;
  cuda::CudaQueue& stream = use(queue);
  const int64_t own_bytes = send_offsets[rank_ + 1] - send_offsets[rank_];
  CHECK(own_bytes == receive_offsets[rank_ + 1] - receive_offsets[rank_]);
  if (own_bytes > 0) {
    stream.check(cudaMemcpyAsync(receive.data() + receive_offsets[rank_],
                                 send.data() + send_offsets[rank_],
                                 static_cast<size_t>(own_bytes),
                                 cudaMemcpyDefault,
                                 stream.stream()),
                 "all_to_all");
  }
  const auto piece_of = [&](auto bytes, std::span<const int64_t> offsets, int peer, int64_t begin) {
    const int64_t left = std::max<int64_t>(offsets[peer + 1] - offsets[peer] - begin, 0);
    const int64_t length = peer == rank_ ? 0 : std::min(left, options_.message_bytes);
    return bytes.subspan(length == 0 ? 0 : offsets[peer] + begin, length);
  };
  bool has_more = true;
  for (int64_t begin = 0; has_more; begin += options_.message_bytes) {
    has_more = false;
    for (int peer = 0; peer < size_; ++peer) {
      const auto piece = piece_of(send, send_offsets, peer, begin);
      if (!piece.empty()) put(stream, piece, peer);
      has_more = has_more || !piece.empty();
    }
    for (int peer = 0; peer < size_; ++peer) {
      const auto piece = piece_of(receive, receive_offsets, peer, begin);
      if (!piece.empty()) take(stream, piece, peer);
      has_more = has_more || !piece.empty();
    }
  }
}

Ticket PeerComm::send(Queue& queue, std::span<const std::byte> bytes, int to, int) {
  if (status().ok()) put(use(queue), bytes, to);
  return 0;
}

Ticket PeerComm::receive(Queue& queue, std::span<std::byte> bytes, int from, int) {
  if (status().ok()) take(use(queue), bytes, from);
  return 0;
}

void PeerComm::cancel(Ticket) { CHECK_THAT(false, "an enqueued receive cannot be cancelled"); }

uint32_t* PeerComm::arrived(int owner, int from) const {
  return reinterpret_cast<uint32_t*>(arena_.of(owner) + PeerLayout(options_, size_).words) + from;
}

uint32_t* PeerComm::taken(int owner, int to) const { return arrived(owner, size_ + to); }

std::byte* PeerComm::slot(int owner, int from, uint32_t turn) const {
  const int64_t bytes = peer_aligned(options_.message_bytes);
  const int64_t ring = options_.messages == PeerMessages::kAll ? from : 0;
  const int64_t index = ring * options_.depth + (turn - 1) % options_.depth;
  return arena_.of(owner) + PeerLayout(options_, size_).slots + index * bytes;
}

// Message `turn` of a pair (from 1 on) uses slot (turn - 1) mod depth of the receiver, once message
// turn - depth has been taken from it.
void PeerComm::put(cuda::CudaQueue& queue, std::span<const std::byte> bytes, int to) {
  CHECK(to != rank_ && num_senders(options_.messages, to, size_) > 0);
  CHECK_THAT(static_cast<int64_t>(bytes.size()) <= options_.message_bytes, "message over a slot");
  const uint32_t turn = ++sent_[to];
  const auto depth = static_cast<uint32_t>(options_.depth);
  if (turn > depth) wait_value(queue, taken(rank_, to), turn - depth, to);
  if (!bytes.empty() && queue.is_usable()) {
    queue.check(
        cudaMemcpyAsync(
            slot(to, rank_, turn), bytes.data(), bytes.size(), cudaMemcpyDefault, queue.stream()),
        "send");
  }
  write_value(queue, arrived(to, rank_), turn);
}

void PeerComm::take(cuda::CudaQueue& queue, std::span<std::byte> bytes, int from) {
  CHECK(from != rank_ && num_senders(options_.messages, rank_, size_) > 0);
  CHECK_THAT(static_cast<int64_t>(bytes.size()) <= options_.message_bytes, "message over a slot");
  const uint32_t turn = ++received_[from];
  wait_value(queue, arrived(rank_, from), turn, from);
  if (!bytes.empty() && queue.is_usable()) {
    queue.check(
        cudaMemcpyAsync(
            bytes.data(), slot(rank_, from, turn), bytes.size(), cudaMemcpyDefault, queue.stream()),
        "receive");
  }
  write_value(queue, taken(from, rank_), turn);
}

void PeerComm::write_value(cuda::CudaQueue& queue, uint32_t* word, uint32_t value) {
  if (!queue.is_usable()) return;
  const CUresult result = write_value_(
      queue.stream(), reinterpret_cast<CUdeviceptr>(word), value, CU_STREAM_WRITE_VALUE_DEFAULT);
  if (result != CUDA_SUCCESS) queue.check(cudaErrorUnknown, "cuStreamWriteValue32");
}

// Writes of another device may be reordered inside this one: without the flush the word could be
// seen before the slot that was written first.
void PeerComm::wait_value(cuda::CudaQueue& queue, uint32_t* word, uint32_t value, int writer) {
  if (!queue.is_usable()) return;
  const bool flushes = can_flush_ && !arena_.is_on_own_device(writer);
  unsigned flags = CU_STREAM_WAIT_VALUE_GEQ;
  if (flushes) flags |= CU_STREAM_WAIT_VALUE_FLUSH;
  const CUresult result =
      wait_value_(queue.stream(), reinterpret_cast<CUdeviceptr>(word), value, flags);
  if (result != CUDA_SUCCESS) queue.check(cudaErrorUnknown, "cuStreamWaitValue32");
}

void PeerComm::poll() {
  if (!status_.ok()) return;
  status_ = status();
  if (status_.ok() && clock_.now_us() >= deadline_us_ && is_late()) give_up();
  if (large_) large_->poll();
}

bool PeerComm::is_late() const {
  const auto queue = last_queue_.lock();
  return queue != nullptr && queue->has_work();
}

// Ends all waits of the device and finds the late peer. If nothing waits for a peer, the device
// itself is late, which the backend reports.
void PeerComm::give_up() {
  std::atomic_ref(words_of(shared_).abort).store(1, std::memory_order_release);
  // A waiting kernel precedes all later messages, so its report comes first.
  SpinWait patience(clock_, clock_.now_us() + kReportUs);
  while (options_.reduce_bytes > 0 && status().ok() && is_late() && patience.wait()) {
  }
  status_ = status();
  const LateMessage late = status_.ok() ? late_message() : LateMessage{};
  if (late.operation != nullptr) status_ = named_late(late.operation, late.peer);
  release_waits();
}

// The oldest awaited message precedes all later work, so a peer whose word is behind is the late
// one.
LateMessage PeerComm::late_message() {
  if (options_.messages == PeerMessages::kNone) return {};
  uint32_t* const copies = copies_of(shared_);
  if (!copy_on_side(copies, arrived(rank_, 0), words_bytes(size_), cudaMemcpyDeviceToHost))
    return {};
  const auto is_behind = [](uint32_t word, uint32_t turn) {
    return static_cast<int32_t>(word - turn) < 0;
  };
  for (int peer = 0; peer < size_; ++peer) {
    if (is_behind(copies[peer], received_[peer])) return {"receive", peer};
  }
  const auto depth = static_cast<uint32_t>(options_.depth);
  for (int peer = 0; peer < size_; ++peer) {
    if (sent_[peer] > depth && is_behind(copies[size_ + peer], sent_[peer] - depth)) {
      return {"send", peer};
    }
  }
  return {};
}

// Writes the values that the stream's waits wait for, so that the queue can end.
void PeerComm::release_waits() {
  if (options_.messages == PeerMessages::kNone) return;
  uint32_t* const copies = copies_of(shared_);
  std::ranges::copy(received_, copies);
  std::ranges::copy(sent_, copies + size_);
  copy_on_side(arrived(rank_, 0), copies, words_bytes(size_), cudaMemcpyHostToDevice);
}

// Whether the copy is complete within kSideUs.
bool PeerComm::copy_on_side(void* to, const void* from, int64_t bytes, cudaMemcpyKind kind) {
  const auto side = side_.lock();
  if (side == nullptr) return false;
  const cudaError_t error =
      cudaMemcpyAsync(to, from, static_cast<size_t>(bytes), kind, side->stream());
  return error == cudaSuccess && wait_for(side->stream(), kSideUs) == cudaSuccess;
}

Status PeerComm::named_late(const char* operation, int peer) const {
  return timed_out("TRI-CUDA-013",
                   "{}: {} with {} did not complete in time: that rank is dead, stopped or behind; "
                   "look at its last line, then start the group again",
                   options_.name,
                   operation,
                   options_.peers[peer]);
}

}  // namespace trireme
