#include "worker/control/coordinator_link.h"

#include <unistd.h>

#include <atomic>
#include <cstring>
#include <thread>
#include <variant>

#include "base/check.h"
#include "base/log.h"
#include "base/spin_wait.h"
#include "base/swap_queue.h"
#include "proto/step_codec.h"
#include "proto/zmq_options.h"
#include "worker/comm/exit_rank.h"
#include "worker/control/crash_notice.h"
#include "worker/control/door_connection.h"
#include "worker/control/link_limits.h"
#include "worker/control/rank_life.h"

namespace trireme {
namespace {

constexpr size_t kMaxPlans = 64;  // the coordinator keeps at most pp + 1 in flight
constexpr size_t kMaxResults = 64;
constexpr size_t kMaxProbes = 64;  // of at most 512 KiB each
constexpr size_t kMaxStarts = 4;   // of coordinators that followed one another
constexpr TimeUs kQueueUs = 10'000'000;
constexpr TimeUs kGoodbyeUs = kZmqRankLingerMs * TimeUs{1'000};
constexpr int kTickMs = 100;
constexpr int kCatchUpTickMs = 5;  // while a coordinator waits for the end of the last steps

Goodbye goodbye_of(const LinkOptions& options, const Epochs& epochs, const Status& cause) {
  Goodbye goodbye;
  goodbye.epochs = epochs;
  goodbye.group = options.group;
  goodbye.rank = options.rank;
  goodbye.host = options.host;
  goodbye.cause = message_of(cause);
  goodbye.memory = error_id(cause).starts_with("TRI-MEM");
  return goodbye;
}

}  // namespace

// The control thread, and the queues between it and the step loop.
class CoordinatorLink::Control {
 public:
  Control(const LinkOptions& options, Progress& progress)
      : options_(options),
        progress_(progress),
        limits_(options.connect_timeout_us),
        watchdog_(options.watchdog) {}
  ~Control() {
    stop_ = true;
    wake();
    if (thread_.joinable()) thread_.join();
  }

  Status connect();

  // --- used by the step loop ---------------------------------------------------------------------
  void wake() { connection_.wake(); }

  const LinkOptions options_;
  SwapQueue<StepPlan> plans_{kMaxPlans};
  SwapQueue<StepResult> results_{kMaxResults};
  SwapQueue<Probe> probes_{kMaxProbes};
  SwapQueue<Start> starts_{kMaxStarts};
  SwapQueue<RankMessage> messages_{kMaxStarts + 2};  // hello, started, goodbye
  std::atomic<bool> goodbye_sent_{false};
  std::atomic<bool> drained_{false};

 private:
  void run();
  void heartbeat(TimeUs now_us);
  void watch(TimeUs now_us, TimeUs gap_us);
  Status key_refused() const;
  Status connection_lost() const;
  void lose_connection(TimeUs now_us);
  void open_conversation();
  void read_frames();
  void handle(const RankLife::Order& order);
  void end_life(const Fence& fence);
  void send_queued();
  bool take_queued();
  void encode(const RankMessage& message);
  bool is_catching_up() const { return was_lost_ && is_open_ && !told_caught_up_; }
  int64_t completed() const { return progress_.completed.load(std::memory_order_relaxed); }
  void log(LogLevel level, const char* event, const Status& cause) const;
  void say_goodbye(const Status& cause, int signal);
  [[noreturn]] void report_crash(int signal);
  [[noreturn]] void leave(const Status& cause);

  Progress& progress_;
  DoorConnection connection_;
  CrashNotice crash_notice_{connection_.wake_fd()};
  std::atomic<bool> stop_{false};
  std::thread thread_;

  // Used by the control thread only.
  SteadyClock clock_;
  LinkLimits limits_;  // opened by the thread that starts this one
  Status fence_;
  Watchdog watchdog_;
  RankLife life_;
  StepCodec codec_;
  StepResult result_;
  Probe probe_;
  RankMessage message_;
  std::string pending_;  // a frame that the socket has not taken yet
  bool pending_is_goodbye_ = false;
  bool was_lost_ = false;        // the connection; no coordinator has begun a life since
  bool is_open_ = false;         // what comes first on this connection has been said
  bool told_caught_up_ = false;  // on this connection
  TimeUs next_beat_us_ = 0;
  uint64_t waits_ = 0;  // heartbeats sent while waiting for others
};

Status CoordinatorLink::Control::connect() {
  RETURN_IF_ERROR(connection_.connect(options_.endpoint, options_.key));
  limits_.open(clock_.now_us());
  thread_ = std::thread([this] { run(); });
  return ok_status();
}

void CoordinatorLink::Control::run() {
  while (!stop_) {
    connection_.wait(!pending_.empty(), is_catching_up() ? kCatchUpTickMs : kTickMs);
    if (const int signal = CrashNotice::signal(); signal != 0) report_crash(signal);
    const TimeUs now_us = clock_.now_us();
    const TimeUs gap_us = limits_.notice_standstill(now_us);
    if (connection_.is_refused()) leave(key_refused());
    read_frames();  // before the check for a lost connection: a drained group's fence may be there
    if (connection_.is_lost() && !drained_) lose_connection(now_us);
    if (connection_.is_connected() && !is_open_) open_conversation();
    send_queued();
    heartbeat(now_us);
    watch(now_us, gap_us);
  }
}

// A successor of the coordinator may come: nothing that was meant for this one reaches it.
void CoordinatorLink::Control::lose_connection(TimeUs now_us) {
  if (!life_.on_lost()) leave(connection_lost());
  log(LogLevel::kWarning,
      "connection_lost",
      unavailable("TRI-GRP-013",
                  "the connection to the coordinator at {} is lost; this rank waits {} s for the "
                  "next one",
                  options_.endpoint,
                  LinkLimits::kSuccessorUs / 1'000'000));
  pending_.clear();
  pending_is_goodbye_ = false;
  was_lost_ = true;
  is_open_ = false;
  told_caught_up_ = false;
  limits_.lose(now_us);
  connection_.reopen();
}

// Before any heartbeat: the coordinator takes one of a life that it did not begin for the sign of a
// rank whose group has ended.
void CoordinatorLink::Control::open_conversation() {
  is_open_ = true;
  if (was_lost_) limits_.lose(clock_.now_us());  // from now on for a Start
  if (!pending_.empty()) return;                 // a goodbye
  if (const auto hello = life_.opening(completed())) codec_.encode(*hello, pending_);
}

void CoordinatorLink::Control::heartbeat(TimeUs now_us) {
  if (!pending_.empty() || !connection_.is_connected()) return;
  const bool catches_up = life_.has_caught_up(completed()) && !told_caught_up_;
  if (now_us < next_beat_us_ && !catches_up) return;
  told_caught_up_ = told_caught_up_ || catches_up;
  next_beat_us_ = now_us + kHeartbeatIntervalUs;
  Heartbeat beat;
  beat.epochs = life_.epochs();
  beat.group = options_.group;
  beat.rank = options_.rank;
  beat.tp = options_.tp;
  beat.pp = options_.pp;
  beat.host = options_.host;
  beat.pid = ::getpid();
  beat.phase = progress_.phase.load(std::memory_order_relaxed);
  if (waits_for_others(beat.phase)) ++waits_;  // alive, and not the one that hangs
  beat.progress = progress_.operations.load(std::memory_order_relaxed) + waits_;
  beat.step = progress_.step.load(std::memory_order_relaxed);
  beat.step_completed = life_.completed(completed());
  beat.load_bytes = progress_.load_bytes.load(std::memory_order_relaxed);
  beat.load_total_bytes = progress_.load_total_bytes.load(std::memory_order_relaxed);
  codec_.encode(beat, pending_);
  if (connection_.send(pending_)) pending_.clear();
}

void CoordinatorLink::Control::watch(TimeUs now_us, TimeUs gap_us) {
  if (drained_ && limits_.drain_is_over(now_us)) leave(fence_);
  if (const Status status = watchdog_.check(progress_, now_us, gap_us); !status.ok()) leave(status);
  const bool awaits_start = was_lost_ && life_.has_lived();
  if (connection_.is_connected() && !awaits_start) return;
  if (!limits_.connect_is_over(now_us)) return;
  if (was_lost_) leave(connection_lost());
  leave(timed_out("TRI-GRP-017",
                  "no connection to the coordinator at {} within {} s; check that it runs, that "
                  "its host and port can be reached{}",
                  options_.endpoint,
                  options_.connect_timeout_us / 1'000'000,
                  options_.key ? ", and that TRIREME_WORKER_KEY is of this launch"
                               : ", and that TRIREME_WORKER_KEY is set if it is on another host"));
}

Status CoordinatorLink::Control::key_refused() const {
  return invalid("TRI-GRP-018",
                 "the coordinator at {} refuses this rank's key; start the ranks with the "
                 "TRIREME_WORKER_KEY of this launch",
                 options_.endpoint);
}

Status CoordinatorLink::Control::connection_lost() const {
  return unavailable("TRI-GRP-013",
                     "the connection to the coordinator at {} is lost{}, which ends this group; "
                     "`trireme up` starts it again",
                     options_.endpoint,
                     was_lost_ ? format_text(", and none continued this group within {} s",
                                             LinkLimits::kSuccessorUs / 1'000'000)
                               : "");
}

void CoordinatorLink::Control::read_frames() {
  while (const auto frame = connection_.receive()) {
    if (frame->empty()) continue;  // a delimiter is tolerated
    const auto order = life_.on_frame(*frame);
    if (!order.ok()) leave(order.status());
    handle(*order);
  }
}

void CoordinatorLink::Control::handle(const RankLife::Order& order) {
  if (order.fence != nullptr) end_life(*order.fence);
  if (order.start) {
    was_lost_ = false;
    Start start = *order.start;
    if (!starts_.push(start)) {
      leave(exhausted(
          "TRI-GRP-020", "more than {} coordinators have started this rank at once", kMaxStarts));
    }
  }
  if (order.plan == nullptr) return;
  told_caught_up_ = false;
  if (plans_.push(*order.plan)) return;
  leave(exhausted("TRI-GRP-020",
                  "the coordinator has sent more than {} plans ahead; coordinator and workers "
                  "must be of one version",
                  kMaxPlans));
}

void CoordinatorLink::Control::end_life(const Fence& fence) {
  if (drained_) return;
  fence_ =
      unavailable("TRI-GRP-019", "the coordinator has ended this group's life: {}", fence.cause);
  log(fence.drained ? LogLevel::kInfo : LogLevel::kWarning, "fence", fence_);
  if (!fence.drained || !life_.has_lived()) leave(fence_);
  limits_.drain(clock_.now_us());
  drained_ = true;
}

// Without a connection results and probes are taken, too, and dropped: the steps of a lost
// coordinator are finished for the other ranks' sake.
void CoordinatorLink::Control::send_queued() {
  while (true) {
    if (!pending_.empty()) {
      if (!connection_.is_connected() || !connection_.send(pending_)) return;
      pending_.clear();
      if (pending_is_goodbye_) goodbye_sent_ = true;
    }
    if (!take_queued()) return;
  }
}

// Results precede probes and the rest: the coordinator waits for them. Fills `pending_`, or drops
// what no coordinator waits for; false: nothing is left.
bool CoordinatorLink::Control::take_queued() {
  if (results_.pop(result_)) {
    if (life_.reports(result_.epochs)) codec_.encode(result_, pending_);
  } else if (probes_.pop(probe_)) {
    if (life_.reports(probe_.epochs)) codec_.encode(probe_, pending_);
  } else if (messages_.pop(message_)) {
    encode(message_);
  } else {
    return is_open_ && life_.next_kept_plan(pending_);
  }
  return true;
}

void CoordinatorLink::Control::encode(const RankMessage& message) {
  pending_is_goodbye_ = std::holds_alternative<Goodbye>(message);
  if (const auto* hello = std::get_if<RankHello>(&message)) {
    life_.announce(*hello);
    if (is_open_) codec_.encode(*hello, pending_);
  }
  if (const auto* started = std::get_if<RankStarted>(&message)) {
    life_.on_started(started->epochs);
    if (life_.reports(started->epochs)) codec_.encode(*started, pending_);
  }
  if (const auto* goodbye = std::get_if<Goodbye>(&message)) codec_.encode(*goodbye, pending_);
}

void CoordinatorLink::Control::log(LogLevel level, const char* event, const Status& cause) const {
  log_event(level,
            event,
            {{"group", options_.group},
             {"rank", options_.rank},
             {"epoch", life_.epochs().group},
             {"step", progress_.step.load(std::memory_order_relaxed)},
             {"phase", name_of(progress_.phase.load(std::memory_order_relaxed))},
             {"cause", cause}});
}

// Nothing may be sent after it.
void CoordinatorLink::Control::say_goodbye(const Status& cause, int signal) {
  if (!connection_.is_connected()) return;
  Goodbye goodbye = goodbye_of(options_, life_.epochs(), cause);
  goodbye.signal = signal;
  const int64_t step = progress_.step.load(std::memory_order_relaxed);
  if (signal != 0 && completed() < step) goodbye.step = step;
  codec_.encode(goodbye, pending_);
  connection_.send(pending_);
  connection_.close();
}

// Another thread of this process is in the handler of the signal and waits for this report.
void CoordinatorLink::Control::report_crash(int signal) {
  while (crash_notice_.is_of_other_rank()) ::pause();
  const Status cause = internal(
      "TRI-GRP-059",
      "the process of this rank got the signal SIG{} and ends; the last step that it began is {}",
      ::sigabbrev_np(signal),
      progress_.step.load(std::memory_order_relaxed));
  log(LogLevel::kError, "crash", cause);
  std::fprintf(stderr,
               "%s [rank %d on %s]\n",
               message_of(cause).c_str(),
               options_.rank,
               options_.host.c_str());
  say_goodbye(cause, signal);
  CrashNotice::report_sent();
  while (true) ::pause();
}

// Reports the cause to the coordinator, unless it is the coordinator's own; then ends the process.
void CoordinatorLink::Control::leave(const Status& cause) {
  const std::string id = error_id(cause);
  if (id == "TRI-GRP-014") log(LogLevel::kError, "hang", cause);
  if (id == "TRI-GRP-013") log(LogLevel::kError, "connection_lost", cause);
  log(drained_ ? LogLevel::kInfo : LogLevel::kError, "end", cause);
  if (id != "TRI-GRP-019" && id != "TRI-GRP-013") say_goodbye(cause, 0);
  exit_rank(absl::Status(
      cause.code(),
      format_text("{} [rank {} on {}]", message_of(cause), options_.rank, options_.host)));
}

CoordinatorLink::CoordinatorLink(std::unique_ptr<Control> control)
    : control_(std::move(control)), options_(&control_->options_) {}
CoordinatorLink::~CoordinatorLink() = default;

StatusOr<std::unique_ptr<CoordinatorLink>> CoordinatorLink::open(const LinkOptions& options,
                                                                 Progress& progress) {
  auto control = std::make_unique<Control>(options, progress);
  RETURN_IF_ERROR(control->connect());
  return std::unique_ptr<CoordinatorLink>(new CoordinatorLink(std::move(control)));
}

StatusOr<Start> CoordinatorLink::announce(const RankHello& hello) {
  RankMessage message = hello;
  CHECK(control_->messages_.push(message));
  control_->wake();
  SteadyClock clock;
  SpinWait patience(clock, clock.now_us() + options_->start_timeout_us);
  while (!take_new_life()) {
    if (patience.wait()) continue;
    return timed_out("TRI-GRP-016",
                     "the coordinator did not start this group within {} s; look at the other "
                     "ranks and at the coordinator's log",
                     options_->start_timeout_us / 1'000'000);
  }
  return start_;
}

// Of several Starts the last one counts: the others are of coordinators that have ended.
bool CoordinatorLink::take_new_life() {
  bool is_new = false;
  while (control_->starts_.pop(start_)) is_new = true;
  return is_new;
}

void CoordinatorLink::send_started(const Epochs& epochs) {
  RankMessage message = RankStarted{epochs};
  CHECK(control_->messages_.push(message));
  control_->wake();
}

void CoordinatorLink::send_goodbye(const Status& cause) {
  RankMessage message = goodbye_of(*options_, start_.epochs, cause);
  if (!control_->messages_.push(message)) return;
  control_->wake();
  SteadyClock clock;
  SpinWait patience(clock, clock.now_us() + kGoodbyeUs);
  while (!control_->goodbye_sent_ && patience.wait()) {
  }
  control_.reset();  // the socket's linger lets the message leave
}

StatusOr<PlanSource::Next> CoordinatorLink::next(StepPlan& plan) {
  RETURN_IF_ERROR(status_);
  const bool drained = control_->drained_;  // read first: all plans were queued before it was set
  if (control_->plans_.pop(plan)) return Next::kPlan;
  // It comes once all ranks have completed every plan: none is left in the queue.
  if (take_new_life()) return Next::kNewLife;
  return drained ? Next::kEnd : Next::kNothingYet;
}

void CoordinatorLink::on_result(StepResult& result) {
  if (!control_->results_.push(result)) {
    status_ = exhausted(
        "TRI-GRP-021",
        "the coordinator has not taken the last {} results; the network between them is stuck",
        kMaxResults);
  }
  control_->wake();
}

// Probes are many and large: the step waits for room in the queue.
void CoordinatorLink::on_probe(Probe& probe) {
  SteadyClock clock;
  SpinWait patience(clock, clock.now_us() + kQueueUs);
  while (!control_->probes_.push(probe)) {
    control_->wake();
    if (patience.wait()) continue;
    status_ =
        exhausted("TRI-GRP-022",
                  "the coordinator has not taken {} probes; the network between them is stuck",
                  kMaxProbes);
    return;
  }
  control_->wake();
}

}  // namespace trireme
