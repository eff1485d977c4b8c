#include "worker/comm/local_comm.h"

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstring>
#include <list>
#include <mutex>
#include <utility>

#include "base/check.h"

namespace trireme {
namespace {

constexpr int kExchangeTag = -1;                 // of collectives, matched by their order
constexpr TimeUs kFirstDeadlineUs = 20'000'000;  // until the caller sets one

std::chrono::steady_clock::time_point time_of(TimeUs time_us) {
  return std::chrono::steady_clock::time_point(std::chrono::microseconds(time_us));
}

}  // namespace

class LocalMailboxes {
 public:
  LocalMailboxes(std::string name, std::vector<std::string> peers)
      : name_(std::move(name)), peers_(std::move(peers)), has_ended_(peers_.size()) {}

  const std::string& name() const { return name_; }
  const std::vector<std::string>& peers() const { return peers_; }

  // Copies if the other side is posted, else posts this side.
  void add(LocalComm::Post& post) {
    std::lock_guard lock(mutex_);
    const auto fits = [&](const LocalComm::Post* other) {
      return other->from == post.from && other->to == post.to && other->tag == post.tag &&
             (other->source == nullptr) != (post.source == nullptr);
    };
    const auto found = std::ranges::find_if(posts_, fits);
    if (found == posts_.end()) {
      posts_.push_back(&post);
      return;
    }
    LocalComm::Post& other = **found;
    posts_.erase(found);
    const LocalComm::Post& sent = post.source != nullptr ? post : other;
    const LocalComm::Post& received = post.source != nullptr ? other : post;
    CHECK_THAT(sent.bytes <= received.bytes, "a message longer than its receiver's buffer");
    std::memcpy(received.target, sent.source, sent.bytes);
    post.is_done = other.is_done = true;
    changed_.notify_all();
  }

  enum class Outcome { kDone, kLate, kEnded };
  Outcome wait(const LocalComm::Post& post, int peer, TimeUs deadline_us) {
    std::unique_lock lock(mutex_);
    const auto is_over = [&] { return post.is_done || has_ended_[peer]; };
    if (!changed_.wait_until(lock, time_of(deadline_us), is_over)) return Outcome::kLate;
    return post.is_done ? Outcome::kDone : Outcome::kEnded;
  }

  bool is_done(const LocalComm::Post& post) {
    std::lock_guard lock(mutex_);
    return post.is_done;
  }

  void withdraw(LocalComm::Post& post) {
    std::lock_guard lock(mutex_);
    posts_.remove(&post);
  }

  void end(int rank) {
    std::lock_guard lock(mutex_);
    has_ended_[rank] = true;
    changed_.notify_all();
  }

 private:
  const std::string name_;
  const std::vector<std::string> peers_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::list<LocalComm::Post*> posts_;  // without their other side yet, in order
  std::vector<bool> has_ended_;        // by rank
};

std::vector<std::unique_ptr<Comm>> LocalComm::make(const std::string& name,
                                                   const std::vector<std::string>& peers) {
  const auto mailboxes = std::make_shared<LocalMailboxes>(name, peers);
  std::vector<std::unique_ptr<Comm>> comms;
  for (size_t rank = 0; rank < peers.size(); ++rank) {
    comms.push_back(std::make_unique<LocalComm>(mailboxes, static_cast<int>(rank)));
  }
  return comms;
}

LocalComm::LocalComm(std::shared_ptr<LocalMailboxes> mailboxes, int rank)
    : mailboxes_(std::move(mailboxes)), rank_(rank) {
  deadline_us_ = SteadyClock().now_us() + kFirstDeadlineUs;
}

LocalComm::~LocalComm() {
  for (const auto& post : posts_) mailboxes_->withdraw(*post);
  mailboxes_->end(rank_);
}

int LocalComm::size() const { return static_cast<int>(mailboxes_->peers().size()); }

void LocalComm::all_reduce(Queue&, Tensor tensor) {
  CHECK(tensor.dtype == DType::kFloat32 && tensor.row_stride == tensor.columns);
  CHECK_THAT((size() & (size() - 1)) == 0, "all_reduce needs a power of two of ranks");
  const int64_t count = tensor.rows * tensor.columns;
  if (static_cast<int64_t>(incoming_.size()) < count && size() > 1) incoming_.resize(count);
  float* const sum = tensor.row<float>(0);
  for (int distance = 1; distance < size() && count > 0; distance *= 2) {
    const int partner = rank_ ^ distance;
    start_receive(
        "all_reduce", std::as_writable_bytes(std::span(incoming_.data(), count)), partner);
    start_send("all_reduce", std::as_bytes(std::span(sum, count)), partner);
    finish_exchange();
    if (!status_.ok()) return;
    const float* const lower = rank_ < partner ? sum : incoming_.data();
    const float* const upper = rank_ < partner ? incoming_.data() : sum;
    for (int64_t i = 0; i < count; ++i) sum[i] = lower[i] + upper[i];
  }
}

void LocalComm::all_gather(Queue&, std::span<const std::byte> local, std::span<std::byte> all) {
  CHECK(all.size() == local.size() * size());
  const size_t bytes = local.size();
  if (bytes == 0 || !status_.ok()) return;
  std::memmove(all.data() + rank_ * bytes, local.data(), bytes);
  for (int peer = 0; peer < size(); ++peer) {
    if (peer == rank_) continue;
    start_receive("all_gather", all.subspan(peer * bytes, bytes), peer);
    start_send("all_gather", local, peer);
  }
  finish_exchange();
}

void LocalComm::all_to_all(Queue&,
                           std::span<const std::byte> send,
                           std::span<const int64_t> send_offsets,
                           std::span<std::byte> receive,
                           std::span<const int64_t> receive_offsets) {
  if (!status_.ok()) return;
  for (int peer = 0; peer < size(); ++peer) {
    const auto sent = send.subspan(send_offsets[peer], send_offsets[peer + 1] - send_offsets[peer]);
    const auto received =
        receive.subspan(receive_offsets[peer], receive_offsets[peer + 1] - receive_offsets[peer]);
    if (peer == rank_) {
      CHECK(sent.size() == received.size());
      if (!sent.empty()) std::memcpy(received.data(), sent.data(), sent.size());
      continue;
    }
    if (!received.empty()) start_receive("all_to_all", received, peer);
    if (!sent.empty()) start_send("all_to_all", sent, peer);
  }
  finish_exchange();
}

void LocalComm::broadcast(Queue&, std::span<std::byte> bytes, int root) {
  if (!status_.ok() || bytes.empty()) return;
  if (rank_ != root) start_receive("broadcast", bytes, root);
  for (int to = 0; rank_ == root && to < size(); ++to) {
    if (to != root) start_send("broadcast", bytes, to);
  }
  finish_exchange();
}

Ticket LocalComm::send(Queue&, std::span<const std::byte> bytes, int to, int tag) {
  return post({.operation = "send",
               .from = rank_,
               .to = to,
               .tag = tag,
               .source = bytes.data(),
               .bytes = bytes.size()});
}

Ticket LocalComm::receive(Queue&, std::span<std::byte> bytes, int from, int tag) {
  return post({.operation = "receive",
               .from = from,
               .to = rank_,
               .tag = tag,
               .target = bytes.data(),
               .bytes = bytes.size()});
}

void LocalComm::complete(Ticket ticket) {
  Post& post = *posts_[ticket];
  if (status_.ok()) {
    const auto outcome = mailboxes_->wait(post, peer_of(post), deadline_us_);
    if (outcome != LocalMailboxes::Outcome::kDone) {
      fail(post, outcome == LocalMailboxes::Outcome::kEnded);
    }
  }
  post.in_use = false;
}

bool LocalComm::is_complete(Ticket ticket) { return mailboxes_->is_done(*posts_[ticket]); }

void LocalComm::cancel(Ticket ticket) {
  mailboxes_->withdraw(*posts_[ticket]);
  posts_[ticket]->in_use = false;
}

Ticket LocalComm::post(const Post& made) {
  auto free = std::ranges::find_if(posts_, [](const auto& post) { return !post->in_use; });
  if (free == posts_.end()) free = posts_.insert(posts_.end(), std::make_unique<Post>());
  **free = made;
  (*free)->in_use = true;
  (*free)->is_done = !status_.ok();
  if (status_.ok()) mailboxes_->add(**free);
  return static_cast<Ticket>(free - posts_.begin());
}

void LocalComm::start_send(const char* operation, std::span<const std::byte> bytes, int to) {
  exchange_.push_back(post({.operation = operation,
                            .from = rank_,
                            .to = to,
                            .tag = kExchangeTag,
                            .source = bytes.data(),
                            .bytes = bytes.size()}));
}

void LocalComm::start_receive(const char* operation, std::span<std::byte> bytes, int from) {
  exchange_.push_back(post({.operation = operation,
                            .from = from,
                            .to = rank_,
                            .tag = kExchangeTag,
                            .target = bytes.data(),
                            .bytes = bytes.size()}));
}

// Waits until every message of the collective is complete.
void LocalComm::finish_exchange() {
  for (const Ticket ticket : exchange_) complete(ticket);
  exchange_.clear();
}

// Withdraws all posts of this rank, so that no peer writes to its memory any more.
void LocalComm::fail(const Post& late, bool has_ended) {
  const std::string& peer = mailboxes_->peers()[peer_of(late)];
  const std::string what = format_text("{}: {} with {}", mailboxes_->name(), late.operation, peer);
  status_ = has_ended
                ? unavailable("TRI-GRP-004",
                              "{} failed (that rank has ended); the group ends here, see that "
                              "rank's own last line",
                              what)
                : timed_out("TRI-GRP-005",
                            "{} was not through at the step's deadline: that rank is dead, stopped "
                            "or cut off; look at its last line, then start the group again",
                            what);
  for (const auto& post : posts_) mailboxes_->withdraw(*post);
}

}  // namespace trireme
