#include "worker/comm/mpi_comm.h"

#include <cstring>
#include <limits>
#include <utility>

#include "base/check.h"
#include "base/spin_wait.h"

namespace trireme {
namespace {

constexpr int kExchangeTag = 1;                  // of collectives, matched by their order
constexpr int kMessageTag = 16;                  // first tag of send() and receive()
constexpr TimeUs kFirstDeadlineUs = 20'000'000;  // until the caller sets one
// Of a wait: a group that stood still as a whole while it computed begins it after the deadline.
constexpr TimeUs kLeastWaitUs = 1'000'000;

int count_of(size_t bytes) {
  CHECK_THAT(bytes <= static_cast<size_t>(std::numeric_limits<int>::max()), "message over 2 GiB");
  return static_cast<int>(bytes);
}

}  // namespace

MpiComm::MpiComm(MPI_Comm communicator, std::string name, std::vector<std::string> peers)
    : communicator_(communicator), name_(std::move(name)), peers_(std::move(peers)) {
  MPI_Comm_set_errhandler(communicator_, MPI_ERRORS_RETURN);
  MPI_Comm_rank(communicator_, &rank_);
  MPI_Comm_size(communicator_, &size_);
  CHECK(static_cast<int>(peers_.size()) == size_);
  deadline_us_ = clock_.now_us() + kFirstDeadlineUs;
  exchange_.reserve(2 * size_);
  exchange_peers_.reserve(2 * size_);
  messages_.reserve(64);
}

MpiComm::~MpiComm() {
  if (!status_.ok()) return;  // freeing could wait for a dead peer
  MPI_Comm_free(&communicator_);
}

void MpiComm::all_reduce(Queue&, Tensor tensor) {
  CHECK(tensor.dtype == DType::kFloat32 && tensor.row_stride == tensor.columns);
  CHECK_THAT((size_ & (size_ - 1)) == 0, "all_reduce needs a power of two of ranks");
  const int64_t count = tensor.rows * tensor.columns;
  if (static_cast<int64_t>(incoming_.size()) < count && size_ > 1) incoming_.resize(count);
  float* const sum = tensor.row<float>(0);
  for (int distance = 1; distance < size_ && status_.ok() && count > 0; distance *= 2) {
    const int partner = rank_ ^ distance;
    start_receive(std::as_writable_bytes(std::span(incoming_.data(), count)), partner);
    start_send(std::as_bytes(std::span(sum, count)), partner);
    finish_exchange("all_reduce");
    if (!status_.ok()) return;
    const float* const lower = rank_ < partner ? sum : incoming_.data();
    const float* const upper = rank_ < partner ? incoming_.data() : sum;
    for (int64_t i = 0; i < count; ++i) sum[i] = lower[i] + upper[i];
  }
}

void MpiComm::all_gather(Queue&, std::span<const std::byte> local, std::span<std::byte> all) {
  CHECK(all.size() == local.size() * size_);
  const size_t bytes = local.size();
  if (bytes == 0 || !status_.ok()) return;
  std::memmove(all.data() + rank_ * bytes, local.data(), bytes);
  for (int distance = 1; distance < size_; ++distance) {
    const int from = (rank_ + size_ - distance) % size_;
    start_receive(all.subspan(from * bytes, bytes), from);
    start_send(local, (rank_ + distance) % size_);
  }
  finish_exchange("all_gather");
}

void MpiComm::all_to_all(Queue&,
                         std::span<const std::byte> send,
                         std::span<const int64_t> send_offsets,
                         std::span<std::byte> receive,
                         std::span<const int64_t> receive_offsets) {
  if (!status_.ok()) return;
  const auto sent = [&](int rank) {
    return send.subspan(send_offsets[rank], send_offsets[rank + 1] - send_offsets[rank]);
  };
  const auto received = [&](int rank) {
    return receive.subspan(receive_offsets[rank],
                           receive_offsets[rank + 1] - receive_offsets[rank]);
  };
  CHECK(sent(rank_).size() == received(rank_).size());
  if (!sent(rank_).empty()) {
    std::memcpy(received(rank_).data(), sent(rank_).data(), sent(rank_).size());
  }
  for (int distance = 1; distance < size_; ++distance) {
    const int from = (rank_ + size_ - distance) % size_;
    const int to = (rank_ + distance) % size_;
    if (!received(from).empty()) start_receive(received(from), from);
    if (!sent(to).empty()) start_send(sent(to), to);
  }
  finish_exchange("all_to_all");
}

void MpiComm::broadcast(Queue&, std::span<std::byte> bytes, int root) {
  if (!status_.ok() || bytes.empty()) return;
  if (rank_ != root) start_receive(bytes, root);
  for (int to = 0; rank_ == root && to < size_; ++to) {
    if (to != root) start_send(bytes, to);
  }
  finish_exchange("broadcast");
}

Ticket MpiComm::send(Queue&, std::span<const std::byte> bytes, int to, int tag) {
  MPI_Request request = MPI_REQUEST_NULL;
  if (status_.ok()) {
    check(MPI_Isend(bytes.data(),
                    count_of(bytes.size()),
                    MPI_BYTE,
                    to,
                    kMessageTag + tag,
                    communicator_,
                    &request),
          "send",
          to);
  }
  return new_ticket(request, to, "send");
}

Ticket MpiComm::receive(Queue&, std::span<std::byte> bytes, int from, int tag) {
  MPI_Request request = MPI_REQUEST_NULL;
  if (status_.ok()) {
    check(MPI_Irecv(bytes.data(),
                    count_of(bytes.size()),
                    MPI_BYTE,
                    from,
                    kMessageTag + tag,
                    communicator_,
                    &request),
          "receive",
          from);
  }
  return new_ticket(request, from, "receive");
}

void MpiComm::complete(Ticket ticket) {
  Message& message = messages_[ticket];
  SpinWait patience(clock_, deadline_us_, kLeastWaitUs);
  while (status_.ok() && !is_complete(ticket)) {
    if (!patience.wait()) fail_late(message.operation, message.peer);
  }
  message.in_use = false;
}

bool MpiComm::is_complete(Ticket ticket) {
  Message& message = messages_[ticket];
  if (message.request == MPI_REQUEST_NULL) return true;
  int done = 0;
  check(MPI_Test(&message.request, &done, MPI_STATUS_IGNORE), message.operation, message.peer);
  return done != 0;
}

void MpiComm::cancel(Ticket ticket) {
  Message& message = messages_[ticket];
  message.in_use = false;
  if (message.request == MPI_REQUEST_NULL || !status_.ok()) return;
  MPI_Cancel(&message.request);
  MPI_Request_free(&message.request);
}

void MpiComm::poll() {
  int arrived = 0;
  MPI_Iprobe(MPI_ANY_SOURCE, MPI_ANY_TAG, communicator_, &arrived, MPI_STATUS_IGNORE);
  for (size_t ticket = 0; ticket < messages_.size() && status_.ok(); ++ticket) {
    is_complete(static_cast<Ticket>(ticket));
  }
}

void MpiComm::start_send(std::span<const std::byte> bytes, int to) {
  if (!status_.ok()) return;
  MPI_Request request = MPI_REQUEST_NULL;
  check(MPI_Isend(bytes.data(),
                  count_of(bytes.size()),
                  MPI_BYTE,
                  to,
                  kExchangeTag,
                  communicator_,
                  &request),
        "send",
        to);
  exchange_.push_back(request);
  exchange_peers_.push_back(to);
}

void MpiComm::start_receive(std::span<std::byte> bytes, int from) {
  if (!status_.ok()) return;
  MPI_Request request = MPI_REQUEST_NULL;
  check(MPI_Irecv(bytes.data(),
                  count_of(bytes.size()),
                  MPI_BYTE,
                  from,
                  kExchangeTag,
                  communicator_,
                  &request),
        "receive",
        from);
  exchange_.push_back(request);
  exchange_peers_.push_back(from);
}

// Waits until every message of the collective is complete.
void MpiComm::finish_exchange(const char* operation) {
  SpinWait patience(clock_, deadline_us_, kLeastWaitUs);
  int done = exchange_.empty();
  while (status_.ok() && !done) {
    check(MPI_Testall(
              static_cast<int>(exchange_.size()), exchange_.data(), &done, MPI_STATUSES_IGNORE),
          operation,
          -1);
    if (!done && !patience.wait()) fail_late(operation, late_peer());
  }
  if (!status_.ok()) return;
  exchange_.clear();
  exchange_peers_.clear();
}

int MpiComm::late_peer() const {
  for (size_t i = 0; i < exchange_.size(); ++i) {
    int done = 0;
    MPI_Request_get_status(exchange_[i], &done, MPI_STATUS_IGNORE);
    if (!done) return exchange_peers_[i];
  }
  return -1;
}

Ticket MpiComm::new_ticket(MPI_Request request, int peer, const char* operation) {
  const Message message{request, peer, operation, true};
  for (size_t ticket = 0; ticket < messages_.size(); ++ticket) {
    if (messages_[ticket].in_use) continue;
    messages_[ticket] = message;
    return static_cast<Ticket>(ticket);
  }
  messages_.push_back(message);
  return static_cast<Ticket>(messages_.size()) - 1;
}

void MpiComm::check(int result, const char* operation, int peer) {
  if (result == MPI_SUCCESS || !status_.ok()) return;
  char text[MPI_MAX_ERROR_STRING] = {};
  int length = 0;
  MPI_Error_string(result, text, &length);
  status_ =
      unavailable("TRI-GRP-004",
                  "{}: {} with {} failed ({}); the group ends here, see that rank's own last line",
                  name_,
                  operation,
                  peer < 0 ? "its peers" : peers_[peer],
                  text);
}

void MpiComm::fail_late(const char* operation, int peer) {
  status_ = timed_out("TRI-GRP-005",
                      "{}: {} with {} was not through at the step's deadline: that rank is dead, "
                      "stopped or cut off; look at its last line, then start the group again",
                      name_,
                      operation,
                      peer < 0 ? "its peers" : peers_[peer]);
}

}  // namespace trireme
