#include "tests/simulation/rejoin_run.h"

#include <algorithm>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <queue>
#include <random>
#include <utility>
#include <vector>

#include "base/text.h"
#include "coordinator/doors/ranks/worker_set.h"
#include "worker/control/rank_life.h"

namespace trireme {
namespace {

constexpr TimeUs kMs = 1'000;
constexpr TimeUs kLastFaultUs = 4'000 * kMs;
constexpr TimeUs kEndUs = kLastFaultUs + 6'000 * kMs;
const std::string kJournalId(kJournalIdBytes, 'j');

class RejoinRun final : public PeerSender {
 public:
  explicit RejoinRun(uint64_t seed) : random_(seed) {
    tp_ = below(3) + 1;
    pp_ = below(3) + 1;
    ranks_ = std::vector<Rank>(static_cast<size_t>(tp_ * pp_));
    for (int32_t rank = 0; rank < tp_ * pp_; ++rank) {
      ranks_[static_cast<size_t>(rank)].life.announce(hello_of(rank));
      connect(rank);
      beat_later(rank);
    }
    begin_coordinator();
    tick_later();
    crash_later();
  }

  RejoinReport run() {
    while (!queue_.empty() && report_.failure.empty()) {
      const Entry entry = queue_.top();
      queue_.pop();
      if (entry.at_us > kEndUs) break;
      now_us_ = entry.at_us;
      entry.run();
    }
    const bool goes_on = set_ && set_->num_ready() == 1 && last_done_us_ > kEndUs - 1'000 * kMs;
    if (!goes_on) fail("the group does not work at the end");
    return report_;
  }

 private:
  struct Entry {
    TimeUs at_us;
    uint64_t order;
    std::function<void()> run;
    bool operator<(const Entry& other) const {
      return std::pair(at_us, order) > std::pair(other.at_us, other.order);
    }
  };
  struct Plan {
    Epochs epochs;
    int64_t step = 0;
    bool has_tokens = false;
  };
  struct Rank {
    RankLife life;
    PeerId peer = 0;  // 0: not connected
    TimeUs last_arrival_us = 0;
    std::deque<Plan> plans;  // received and not completed
    Epochs running;          // of the step loop: it has reset for this life
    int64_t received = 0;    // of that life
    int64_t completed = 0;
    bool was_told = false;  // that it has caught up
  };

  int32_t below(int32_t n) { return std::uniform_int_distribution<int32_t>(0, n - 1)(random_); }
  Rank& at(int32_t rank) { return ranks_[static_cast<size_t>(rank)]; }
  void after(TimeUs us, std::function<void()> run) {
    queue_.push({now_us_ + us, ++order_, std::move(run)});
  }
  void fail(const std::string& text) {
    if (report_.failure.empty()) report_.failure = format_text("{} us: {}", now_us_, text);
  }
  void note(uint64_t value) {
    report_.trace_hash =
        (report_.trace_hash ^ value ^ static_cast<uint64_t>(now_us_)) * 0x9e3779b97f4a7c15;
  }

  RankHello hello_of(int32_t rank) const {
    RankHello hello;
    hello.rank = rank;
    hello.tp = tp_;
    hello.pp = pp_;
    hello.pages = 100;
    hello.max_slots = 8;
    hello.max_batched_tokens = 512;
    hello.max_model_len = 2048;
    hello.kv_layout.page_tokens = 32;
    return hello;
  }

  // --- the network: frames of a connection arrive in order, after random times
  SendOutcome send(PeerId peer, const std::string& frame) override {
    for (int32_t rank = 0; rank < tp_ * pp_; ++rank) {
      if (at(rank).peer != peer) continue;
      arrive(rank, [this, rank, peer, frame] {
        if (at(rank).peer == peer || dying_[peer]) on_frame(rank, frame);
      });
      return SendOutcome::kSent;
    }
    return SendOutcome::kGone;
  }
  void arrive(int32_t rank, std::function<void()> run) {
    Rank& to = at(rank);
    to.last_arrival_us = std::max(to.last_arrival_us, now_us_ + below(3) * kMs + 100);
    queue_.push({to.last_arrival_us, ++order_, std::move(run)});
  }
  template <class Message>
  void say(int32_t rank, const Message& message) {
    std::string frame;
    codec_.encode(message, frame);
    deliver(rank, std::move(frame));
  }
  void deliver(int32_t rank, std::string frame) {
    const PeerId peer = at(rank).peer;
    if (peer == 0) return;
    TimeUs& last_us = arrivals_[peer];
    last_us = std::max(last_us, now_us_ + below(3) * kMs + 100);
    queue_.push({last_us, ++order_, [this, peer, text = std::move(frame)] {
                   if (!set_ || !is_open(peer)) return;
                   set_->on_frame(peer, text, now_us_, output_);
                   plan();
                 }});
  }
  bool is_open(PeerId peer) const { return peer > first_peer_; }

  // --- ranks
  void connect(int32_t rank) {
    if (!set_) {
      after(5 * kMs, [this, rank] { connect(rank); });
      return;
    }
    Rank& self = at(rank);
    self.peer = ++last_peer_;
    self.was_told = false;
    if (const auto hello = self.life.opening(self.completed)) say(rank, *hello);
  }
  void beat(int32_t rank) {
    Rank& self = at(rank);
    Heartbeat beat;
    beat.epochs = self.life.epochs();
    beat.rank = rank;
    beat.tp = tp_;
    beat.pp = pp_;
    beat.phase = self.plans.empty() ? Phase::kIdle : Phase::kWaitTensor;
    beat.progress = ++progress_;
    beat.step_completed = self.life.completed(self.completed);
    say(rank, beat);
  }
  void beat_later(int32_t rank) {
    after(500 * kMs, [this, rank] {
      beat(rank);
      beat_later(rank);
    });
  }
  void on_frame(int32_t rank, const std::string& frame) {
    Rank& self = at(rank);
    const auto order = self.life.on_frame(frame);
    if (!order.ok()) {
      fail(message_of(order.status()));
      return;
    }
    if (order->fence != nullptr) fail("a rank was fenced: " + order->fence->cause);
    if (order->start) {
      const Epochs epochs = order->start->epochs;
      after(below(20) * kMs, [this, rank, epochs] { reset(rank, epochs); });
    }
    if (order->plan != nullptr) receive(rank, *order->plan);
    std::string kept;
    while (self.life.next_kept_plan(kept)) {
      ++report_.relayed;
      deliver(rank, kept);
    }
  }
  void reset(int32_t rank, const Epochs& epochs) {
    Rank& self = at(rank);
    if (!(self.running < epochs)) return;  // a later Start was faster
    if (!self.plans.empty()) fail(format_text("rank {} is reset inside a step", rank));
    self.running = epochs;
    self.received = self.completed = 0;
    self.life.on_started(epochs);
    if (self.life.reports(epochs)) say(rank, RankStarted{epochs});
  }
  void receive(int32_t rank, const StepPlan& plan) {
    Rank& self = at(rank);
    if (plan.epochs != self.running) fail(format_text("rank {} gets a plan before its life", rank));
    if (plan.step != self.received + 1) fail(format_text("rank {} lacks a plan", rank));
    self.received = plan.step;
    self.was_told = false;
    self.plans.push_back({plan.epochs, plan.step, !plan.parts[0].decodes.empty()});
    after(below(4) * kMs, [this] { work(); });
  }
  // A step with tokens ends once all ranks have its plan; a step without, at once.
  void work() {
    for (bool moved = true; moved;) {
      moved = false;
      for (int32_t rank = 0; rank < tp_ * pp_; ++rank) moved = work_on(rank) || moved;
    }
  }
  bool work_on(int32_t rank) {
    Rank& self = at(rank);
    if (self.plans.empty()) return false;
    const Plan plan = self.plans.front();
    const bool all_have_it = std::ranges::all_of(ranks_, [&](const Rank& other) {
      return other.running == plan.epochs && other.received >= plan.step;
    });
    if (plan.has_tokens && !all_have_it) return false;
    self.plans.pop_front();
    self.completed = plan.step;
    note(static_cast<uint64_t>(plan.step) << 8 | static_cast<uint64_t>(rank));
    if (rank == (pp_ - 1) * tp_ && self.life.reports(plan.epochs)) {
      StepResult result;
      result.epochs = plan.epochs;
      result.step = plan.step;
      say(rank, result);
    }
    if (self.life.has_caught_up(self.completed) && !std::exchange(self.was_told, true)) beat(rank);
    return true;
  }

  // --- the coordinator
  void begin_coordinator() {
    WorkerSetOptions options;
    options.coordinator_epoch = ++epoch_;
    options.journal_id = kJournalId;
    set_ = std::make_unique<WorkerSet>(options, this);
    output_ = {};
    in_flight_ = 0;
    next_step_ = 1;
  }
  void tick_later() {
    after(WorkerSet::check_interval_us(), [this] {
      if (set_) set_->tick(now_us_, output_);
      plan();
      tick_later();
    });
  }
  // Keeps up to pp + 1 plans in flight. A coordinator may end between any two of its sends.
  void plan() {
    for (const Event& event : output_.events) {
      if (const auto* ready = std::get_if<event::GroupReady>(&event)) shape_ = ready->shape;
      if (!std::holds_alternative<event::StepDone>(event)) continue;
      --in_flight_;
      ++report_.steps;
      last_done_us_ = now_us_;
    }
    for (const Notice& notice : output_.notices) {
      if (const auto* lost = std::get_if<notice::GroupLost>(&notice)) {
        fail("the group is lost: " + message_of(lost->cause));
      }
    }
    output_ = {};
    while (set_ && set_->num_ready() == 1 && in_flight_ <= pp_) {
      effect::SendPlan send;
      send.plan.epochs = {epoch_, shape_.epoch};
      send.plan.step = next_step_++;
      send.plan.parts.resize(1);
      if (below(4) > 0) send.plan.parts[0].decodes = {0};
      ++in_flight_;
      set_->on_effect(send, now_us_, output_);
    }
  }
  void crash_later() {
    after((below(200) + 1) * (below(4) == 0 ? kMs : 10 * kMs), [this] {
      if (now_us_ > kLastFaultUs) return;
      if (set_) {
        crash();
        after(below(300) * kMs, [this] { begin_coordinator(); });
      }
      crash_later();
    });
  }
  // Of what was sent to each rank, all has left, or what a random part of the time has carried.
  void crash() {
    ++report_.restarts;
    set_.reset();
    first_peer_ = last_peer_;
    for (int32_t rank = 0; rank < tp_ * pp_; ++rank) {
      Rank& self = at(rank);
      const PeerId peer = std::exchange(self.peer, 0);
      if (peer == 0) continue;
      dying_[peer] = true;
      const TimeUs left_us = std::max<TimeUs>(self.last_arrival_us - now_us_, 0);
      const TimeUs cut_us = left_us * below(5) / 4;
      self.last_arrival_us = now_us_ + cut_us;
      after(cut_us, [this, rank, peer] {
        dying_[peer] = false;
        if (!at(rank).life.on_lost()) fail("a rank does not wait");
        after(50 * kMs, [this, rank] { connect(rank); });
      });
    }
  }

  std::mt19937_64 random_;
  int32_t tp_ = 1;
  int32_t pp_ = 1;
  RejoinReport report_;
  TimeUs now_us_ = 1;
  uint64_t order_ = 0;
  std::priority_queue<Entry> queue_;
  StepCodec codec_;

  std::vector<Rank> ranks_;
  uint64_t progress_ = 0;

  PeerId last_peer_ = 0;
  PeerId first_peer_ = 0;              // connections up to this one are of earlier coordinators
  std::map<PeerId, bool> dying_;       // its coordinator has ended; frames still arrive
  std::map<PeerId, TimeUs> arrivals_;  // of the last frame to the coordinator

  std::unique_ptr<WorkerSet> set_;  // null: no coordinator runs
  uint64_t epoch_ = 0;
  WorkerOutput output_;
  GroupShape shape_;
  int32_t in_flight_ = 0;
  int64_t next_step_ = 1;
  TimeUs last_done_us_ = 0;
};

}  // namespace

RejoinReport run_rejoin_seed(uint64_t seed) { return RejoinRun(seed).run(); }

}  // namespace trireme
