#include "worker/comm/nccl_comm.h"

#include <cuda_runtime.h>
#include <dlfcn.h>
#include <nccl.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <future>
#include <memory>
#include <thread>
#include <utility>
#include <vector>

#include "base/check.h"
#include "base/handle.h"
#include "kernels/cuda/cuda_queue.h"
#include "kernels/cuda/peer/peer_reduce.h"
#include "worker/comm/call_guard.h"
#include "worker/comm/capture_probe.h"
#include "worker/comm/host_collectives.h"

namespace trireme {
namespace {

constexpr TimeUs kEndLimitUs = 2'000'000;

std::chrono::milliseconds milliseconds_of(TimeUs limit_us) {
  return std::chrono::milliseconds(limit_us / 1000);
}

// Runs `call` on a thread of its own, for the caller's device. ncclInProgress: it did not return
// within the limit; the thread then ends with the process.
ncclResult_t call_within(TimeUs limit_us, std::function<ncclResult_t()> call) {
  int device = 0;
  if (cudaGetDevice(&device) != cudaSuccess) return ncclUnhandledCudaError;
  auto task = std::packaged_task<ncclResult_t()>([device, call = std::move(call)] {
    return cudaSetDevice(device) == cudaSuccess ? call() : ncclUnhandledCudaError;
  });
  std::future<ncclResult_t> result = task.get_future();
  std::thread(std::move(task)).detach();
  const auto state = result.wait_for(std::chrono::microseconds(limit_us));
  return state == std::future_status::ready ? result.get() : ncclInProgress;
}

ncclDataType_t type_of(DType dtype) {
  switch (dtype) {
    case DType::kFloat32:
      return ncclFloat32;
    case DType::kBFloat16:
      return ncclBfloat16;
    case DType::kFloat16:
      return ncclFloat16;
    default:
      CHECK_THAT(false, "all_reduce of a type that is no float");
  }
}

class NcclComm final : public Comm {
 public:
  NcclComm(const NcclCommOptions& options, Buffer scratch, int rank, int size)
      : options_(options),
        scratch_(std::move(scratch)),
        rank_(rank),
        size_(size),
        guard_(milliseconds_of(options.call_limit_us),
               [this](const char* operation) { return late(operation); }) {}
  ~NcclComm() override;
  NcclComm(const NcclComm&) = delete;
  NcclComm& operator=(const NcclComm&) = delete;

  Status start(Comm& control);

  int size() const override { return size_; }
  int rank() const override { return rank_; }
  bool is_ordered() const override { return true; }
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
  void cancel(Ticket) override { CHECK_THAT(false, "a receive that is enqueued cannot come back"); }
  void poll() override;

 private:
  using Event = Handle<cudaEvent_t, cudaEventDestroy>;
  using Stream = Handle<cudaStream_t, cudaStreamDestroy>;
  struct Sending {
    Event event;  // recorded after the send
    std::weak_ptr<cuda::CudaQueue> queue;
    bool in_use = false;
  };

  Status connect(const ncclUniqueId& id);
  cuda::CudaQueue* begin(Queue& queue, const char* operation);
  Status probe_capture(Comm& control);
  template <class Call>
  void call(const Call& call);
  void check(ncclResult_t result);
  void add_gathered(cuda::CudaQueue& queue, Tensor tensor);
  void end_group(ncclResult_t first);
  bool is_late() const;
  Status failed(ncclResult_t result) const;
  Status late(const char* operation) const;

  const NcclCommOptions options_;
  Buffer scratch_;
  const int rank_;
  const int size_;
  SteadyClock clock_;
  TimeUs deadline_us_ = 0;
  Status status_;
  ncclComm_t comm_ = nullptr;
  Stream side_;                    // sends
  Event before_;                   // the queue's work that a send waits for
  std::vector<Sending> sendings_;  // by ticket - 1; ticket 0: a receive
  std::weak_ptr<cuda::CudaQueue> last_queue_;
  const char* operation_ = "set-up";  // the last one enqueued, for errors
  CallGuard guard_;
};

Status NcclComm::start(Comm& control) {
  deadline_us_ = clock_.now_us() + options_.setup_limit_us;
  ncclUniqueId id = {};
  // A failure of rank 0 is sent to the others as an id of zeros.
  const ncclResult_t made = rank_ == 0 ? ncclGetUniqueId(&id) : ncclSuccess;
  if (made != ncclSuccess) id = {};
  control.set_deadline(deadline_us_);
  RETURN_IF_ERROR(share_from_first(control, std::as_writable_bytes(std::span(&id, 1))));
  if (made != ncclSuccess) return failed(made);
  if (std::ranges::all_of(id.internal, [](char byte) { return byte == 0; })) {
    return unavailable("TRI-CUDA-014",
                       "{}: {} could not create NCCL's id; see its error line",
                       options_.name,
                       options_.peers[0]);
  }
  RETURN_IF_ERROR(connect(id));
  return options_.is_captured ? probe_capture(control) : ok_status();
}

Status NcclComm::connect(const ncclUniqueId& id) {
  const auto made = std::make_shared<ncclComm_t>();
  const auto init = [made, id, size = size_, rank = rank_] {
    ncclConfig_t config = NCCL_CONFIG_INITIALIZER;
    config.blocking = 1;
    return ncclCommInitRankConfig(made.get(), size, id, rank, &config);
  };
  const ncclResult_t state = call_within(options_.setup_limit_us, init);
  if (state == ncclInProgress) {
    return timed_out("TRI-CUDA-015",
                     "{}: NCCL did not connect {} ranks within {} s; a rank died, or hosts cannot "
                     "reach each other on the interface that NCCL chose: name one with "
                     "--nccl-interface, and look at NCCL_DEBUG=INFO",
                     options_.name,
                     size_,
                     options_.setup_limit_us / 1'000'000);
  }
  if (state != ncclSuccess) return failed(state);
  comm_ = *made;
  cudaStream_t side = nullptr;
  cudaEvent_t before = nullptr;
  cudaError_t error = cudaStreamCreateWithFlags(&side, cudaStreamNonBlocking);
  if (error == cudaSuccess) error = cudaEventCreateWithFlags(&before, cudaEventDisableTiming);
  int32_t resident_blocks = 0;  // no kernel of ours waits here
  if (error == cudaSuccess) error = cuda::prepare_peer_reduce(resident_blocks);
  side_ = Stream(side);
  before_ = Event(before);
  if (error == cudaSuccess) return ok_status();
  return unavailable("TRI-CUDA-017",
                     "creating a stream failed while communicators were set up: {}; look at "
                     "the driver and the device with nvidia-smi -q",
                     cudaGetErrorString(error));
}

// Ends in bounded time; what does not end by then ends with the process.
NcclComm::~NcclComm() {
  if (comm_ == nullptr || !status_.ok()) return;
  call_within(kEndLimitUs, [comm = comm_] {
    const ncclResult_t result = ncclCommFinalize(comm);
    return result == ncclSuccess ? ncclCommDestroy(comm) : result;
  });
}

// Its plain run connects the ranks.
Status NcclComm::probe_capture(Comm& control) {
  const auto library = nccl_library();
  CaptureProbe probe;
  probe.name = options_.name;
  probe.library = "NCCL " + (library.ok() ? library->version : "of an unknown version");
  probe.peers = options_.peers;
  probe.values = reinterpret_cast<float*>(scratch_.data());
  probe.stream = side_.get();
  probe.limit_us = options_.setup_limit_us;
  probe.sum = [&] {
    const ncclResult_t result = guard_.watch("a captured sum", [&] {
      float* const values = probe.values;
      return ncclAllReduce(
          values, values, size_t{kProbeCount}, ncclFloat32, ncclSum, comm_, side_.get());
    });
    return result == ncclSuccess ? cudaSuccess : cudaErrorUnknown;
  };
  return probe_captured_sum(control, probe);
}

// The queue as a CUDA stream; null after an error, when nothing may be enqueued any more.
cuda::CudaQueue* NcclComm::begin(Queue& queue, const char* operation) {
  cuda::CudaQueue& used = cuda::cuda_queue(queue);
  last_queue_ = used.watch();
  operation_ = operation;
  return status_.ok() && used.is_usable() ? &used : nullptr;
}

// The first call between two ranks connects them and waits for the peer.
template <class Call>
void NcclComm::call(const Call& call) {
  check(guard_.watch(operation_, call));
}

void NcclComm::check(ncclResult_t result) {
  if (result != ncclSuccess && status_.ok()) status_ = failed(result);
}

void NcclComm::end_group(ncclResult_t first) {
  const ncclResult_t end = guard_.watch(operation_, [] { return ncclGroupEnd(); });
  check(first != ncclSuccess ? first : end);
}

void NcclComm::all_reduce(Queue& queue, Tensor tensor) {
  CHECK(tensor.row_stride == tensor.columns || tensor.rows <= 1);
  cuda::CudaQueue* const stream = begin(queue, "all_reduce");
  if (stream == nullptr || tensor.bytes() == 0) return;
  const int64_t width = size_of(tensor.dtype);
  if (options_.piece_bytes == 0) {
    call([&] {
      return ncclAllReduce(tensor.data,
                           tensor.data,
                           static_cast<size_t>(tensor.bytes() / width),
                           type_of(tensor.dtype),
                           ncclSum,
                           comm_,
                           stream->stream());
    });
    return;
  }
  for (int64_t begin = 0; begin < tensor.bytes() && status_.ok(); begin += options_.piece_bytes) {
    const int64_t bytes = std::min(options_.piece_bytes, tensor.bytes() - begin);
    add_gathered(*stream, Tensor(tensor.data + begin, tensor.dtype, 1, bytes / width));
  }
}

// NCCL does not specify the order of a sum, so the parts are gathered and added here.
void NcclComm::add_gathered(cuda::CudaQueue& queue, Tensor piece) {
  const int64_t stride = (piece.bytes() + 15) / 16 * 16;  // parts are aligned to 16 bytes
  std::byte* const own = scratch_.data() + rank_ * stride;
  queue.check(cudaMemcpyAsync(own,
                              piece.data,
                              static_cast<size_t>(piece.bytes()),
                              cudaMemcpyDeviceToDevice,
                              queue.stream()),
              "all_reduce");
  call([&] {
    return ncclAllGather(
        own, scratch_.data(), static_cast<size_t>(stride), ncclUint8, comm_, queue.stream());
  });
  if (status_.ok()) cuda::add_in_rank_order(queue, scratch_.data(), stride, size_, piece);
}

void NcclComm::all_gather(Queue& queue,
                          std::span<const std::byte> local,
                          std::span<std::byte> all) {
  CHECK(all.size() == local.size() * size_);
  const cuda::CudaQueue* const stream = begin(queue, "all_gather");
  if (stream == nullptr || local.empty()) return;
  call([&] {
    return ncclAllGather(
        local.data(), all.data(), local.size(), ncclUint8, comm_, stream->stream());
  });
}

void NcclComm::all_to_all(Queue& queue,
                          std::span<const std::byte> send,
                          std::span<const int64_t> send_offsets,
                          std::span<std::byte> receive,
                          std::span<const int64_t> receive_offsets) {
  const cuda::CudaQueue* const used = begin(queue, "all_to_all");
  if (used == nullptr) return;
  const cudaStream_t stream = used->stream();
  ncclResult_t first = ncclGroupStart();
  const auto note = [&](ncclResult_t result) {
    if (first == ncclSuccess) first = result;
  };
  for (int peer = 0; peer < size_; ++peer) {
    const auto sent = static_cast<size_t>(send_offsets[peer + 1] - send_offsets[peer]);
    const auto received = static_cast<size_t>(receive_offsets[peer + 1] - receive_offsets[peer]);
    if (sent > 0) {
      note(ncclSend(send.data() + send_offsets[peer], sent, ncclUint8, peer, comm_, stream));
    }
    if (received > 0) {
      note(ncclRecv(
          receive.data() + receive_offsets[peer], received, ncclUint8, peer, comm_, stream));
    }
  }
  end_group(first);
}

void NcclComm::broadcast(Queue& queue, std::span<std::byte> bytes, int root) {
  const cuda::CudaQueue* const stream = begin(queue, "broadcast");
  if (stream == nullptr || bytes.empty()) return;
  call([&] {
    return ncclBroadcast(
        bytes.data(), bytes.data(), bytes.size(), ncclUint8, root, comm_, stream->stream());
  });
}

Ticket NcclComm::send(Queue& queue, std::span<const std::byte> bytes, int to, int) {
  cuda::CudaQueue* const used = begin(queue, "send");
  if (used == nullptr || bytes.empty()) return 0;
  cuda::CudaQueue& stream = *used;
  auto free = std::ranges::find_if(sendings_, [](const auto& entry) { return !entry.in_use; });
  if (free == sendings_.end()) {
    cudaEvent_t event = nullptr;
    stream.check(cudaEventCreateWithFlags(&event, cudaEventDisableTiming), "send");
    free = sendings_.insert(sendings_.end(), Sending{.event = Event(event), .queue = {}});
  }
  free->queue = stream.watch();
  free->in_use = true;
  stream.check(cudaEventRecord(before_.get(), stream.stream()), "send");
  stream.check(cudaStreamWaitEvent(side_.get(), before_.get(), 0), "send");
  call([&] { return ncclSend(bytes.data(), bytes.size(), ncclUint8, to, comm_, side_.get()); });
  stream.check(cudaEventRecord(free->event.get(), side_.get()), "send");
  return static_cast<Ticket>(free - sendings_.begin()) + 1;
}

Ticket NcclComm::receive(Queue& queue, std::span<std::byte> bytes, int from, int) {
  const cuda::CudaQueue* const stream = begin(queue, "receive");
  if (stream == nullptr || bytes.empty()) return 0;
  call([&] {
    return ncclRecv(bytes.data(), bytes.size(), ncclUint8, from, comm_, stream->stream());
  });
  return 0;
}

void NcclComm::complete(Ticket ticket) {
  if (ticket == 0) return;
  Sending& sending = sendings_[ticket - 1];
  if (const auto queue = sending.queue.lock()) {
    queue->check(cudaStreamWaitEvent(queue->stream(), sending.event.get(), 0), "send");
  }
  sending.in_use = false;
}

bool NcclComm::is_complete(Ticket ticket) {
  return ticket == 0 || cudaEventQuery(sendings_[ticket - 1].event.get()) == cudaSuccess;
}

void NcclComm::poll() {
  if (!status_.ok() || comm_ == nullptr) return;
  ncclResult_t state = ncclSuccess;
  check(ncclCommGetAsyncError(comm_, &state));
  if (state != ncclSuccess && state != ncclInProgress) check(state);
  if (!status_.ok() || clock_.now_us() < deadline_us_ || !is_late()) return;
  status_ = timed_out("TRI-CUDA-013",
                      "{}: {} with {} did not complete in time: one of them is dead, stopped or "
                      "unreachable; look at their last lines, then start the group again",
                      options_.name,
                      operation_,
                      join(options_.peers));
}

bool NcclComm::is_late() const {
  const auto queue = last_queue_.lock();
  if (queue != nullptr && queue->has_work()) return true;
  return cudaStreamQuery(side_.get()) == cudaErrorNotReady;
}

Status NcclComm::late(const char* operation) const {
  return timed_out(
      "TRI-CUDA-013",
      "{}: NCCL did not return from {} with {} within {} s: one of them is dead, stopped "
      "or unreachable; look at their last lines, then start the group again",
      options_.name,
      operation,
      join(options_.peers),
      options_.call_limit_us / 1'000'000);
}

Status NcclComm::failed(ncclResult_t result) const {
  return unavailable(
      "TRI-CUDA-014",
      "{}: {} among {} failed in NCCL: {} ({}); the group ends here, NCCL_DEBUG=WARN says more",
      options_.name,
      operation_,
      join(options_.peers),
      ncclGetErrorString(result),
      ncclGetLastError(comm_));
}

}  // namespace

void set_nccl_environment(const NcclSettings& settings) {
  if (!settings.interface.empty()) setenv("NCCL_SOCKET_IFNAME", settings.interface.c_str(), 1);
  if (!settings.adapters.empty()) setenv("NCCL_IB_HCA", settings.adapters.c_str(), 1);
  if (!settings.infiniband) setenv("NCCL_IB_DISABLE", "1", 1);
}

StatusOr<NcclLibrary> nccl_library() {
  int number = 0;
  if (ncclGetVersion(&number) != ncclSuccess) {
    return invalid("TRI-CUDA-010", "this program finds no NCCL (libnccl.so.2) on this machine");
  }
  NcclLibrary library;
  library.version = format_text("{}.{}.{}", number / 10000, number / 100 % 100, number % 100);
  Dl_info found = {};
  if (dladdr(dlsym(RTLD_DEFAULT, "ncclGetVersion"), &found) != 0 && found.dli_fname != nullptr) {
    std::error_code error;
    library.path = std::filesystem::weakly_canonical(found.dli_fname, error).string();
  }
  return library;
}

int64_t nccl_scratch_bytes(const NcclCommOptions& options, int size) {
  return std::max(options.piece_bytes * size, kProbeBytes);
}

StatusOr<std::unique_ptr<Comm>> make_nccl_comm(const NcclCommOptions& options,
                                               Buffer scratch,
                                               Comm& control) {
  const int size = control.size();
  CHECK(options.piece_bytes % 16 == 0 && scratch.bytes() >= nccl_scratch_bytes(options, size));
  auto comm = std::make_unique<NcclComm>(options, std::move(scratch), control.rank(), size);
  RETURN_IF_ERROR(comm->start(control));
  return comm;
}

}  // namespace trireme
