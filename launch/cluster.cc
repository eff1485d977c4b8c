#include "launch/cluster.h"

#include <poll.h>

#include <algorithm>
#include <filesystem>

#include "base/environment.h"
#include "base/log.h"
#include "base/text.h"
#include "base/trace.h"
#include "launch/group_failure.h"
#include "launch/supervision/mpirun_output.h"
#include "launch/supervision/restart_delays.h"

namespace trireme {

namespace {

namespace fs = std::filesystem;
using Kind = CoordinatorEvent::Kind;

constexpr TimeUs kSecond = 1'000'000;
constexpr TimeUs kDoorsUs = 10 * kSecond;
constexpr TimeUs kExplainUs = kSecond;  // after the end, for the coordinator to name the cause
constexpr int kStopMs = 3'000;
constexpr const char* kNoDrainTimeout = "1000000s";
constexpr int kLeaveMs = 300;  // for fenced ranks to leave by themselves
constexpr int kMaxPollMs = 200;
constexpr TimeUs kGatewayReadyUs = 15'000'000;  // after the groups

// The name of the default state folder: of one model and port. "": a temporary one.
std::string default_state(const ClusterOptions& options) {
  if (options.is_private || options.flags.port == 0) return "";
  std::string name = options.flags.model;
  while (name.size() > 1 && name.back() == '/') name.pop_back();
  name = name.substr(name.rfind('/') + 1);
  std::ranges::replace(name, ':', '-');
  return format_text("{}-{}", name, options.flags.port);
}

}  // namespace

Cluster::Cluster(const ClusterOptions& options,
                 const Preflight& preflight,
                 LaunchListener& listener,
                 Interrupts& interrupts)
    : options_(options),
      preflight_(preflight),
      listener_(listener),
      interrupts_(interrupts),
      coordinator_(options_.flags, listener),
      supervisor_(options.flags.groups),
      groups_(options.flags.groups, options.flags.verbose, listener) {}

StatusOr<std::unique_ptr<Cluster>> Cluster::start(const ClusterOptions& options,
                                                  const Preflight& preflight,
                                                  LaunchListener& listener,
                                                  Interrupts& interrupts) {
  if (!preflight.hosts.empty()) {
    RETURN_IF_ERROR(check_hosts_answer(options.flags, preflight.hosts));
  }
  if (!preflight.backend.note.empty()) listener.note(preflight.backend.note);
  std::unique_ptr<Cluster> cluster(new Cluster(options, preflight, listener, interrupts));
  ASSIGN_OR_RETURN(cluster->state_, StateFolder::make(options.flags.state, default_state(options)));
  if (!cluster->state_.note().empty()) listener.note(cluster->state_.note());
  cluster->log_file_ = options.flags.log.file;
  if (!cluster->log_file_.empty()) {
    RETURN_IF_ERROR(prepare_log_file(cluster->log_file_));
  } else if (!options.is_private) {
    cluster->use_default_log_file();
  }
  // A coordinator that ends again and again would keep a job from its end.
  if (options.is_private) cluster->coordinator_.limit_losses();
  cluster->check_journal_room();
  RETURN_IF_ERROR(cluster->start_coordinator());
  RETURN_IF_ERROR(cluster->wait_for_doors());
  RETURN_IF_ERROR(cluster->start_gateway());
  return cluster;
}

Cluster::~Cluster() { stop(); }

// Nobody asked for this file, so it is no reason to refuse the start.
void Cluster::use_default_log_file() {
  const std::string path = state_.path() + "/trireme.log";
  const Status status = prepare_log_file(path);
  if (status.ok()) {
    log_file_ = path;
  } else {
    listener_.warn(format_text("{} cannot be written, the log goes to stderr", path));
  }
}

// Nobody asked for the journal of a temporary folder, so it must not keep the cluster from
// starting.
void Cluster::check_journal_room() {
  if (!state_.is_temporary() || options_.flags.journal.mode != "on") return;
  std::error_code error;
  const auto room = fs::space(state_.path(), error).available;
  if (error || room >= static_cast<uint64_t>(options_.flags.journal.bytes)) return;
  has_journal_room_ = false;
  listener_.note(format_text(
      "{} has {} free, so this cluster keeps no journal: if its coordinator ends, so do its "
      "requests",
      state_.path(),
      format_bytes(static_cast<double>(room))));
}

bool Cluster::keeps_journal() const {
  return options_.flags.journal.mode == "on" && has_journal_room_;
}

Status Cluster::start_coordinator() {
  CoordinatorLaunch launch;
  launch.state = state_.path();
  launch.journal = keeps_journal();
  launch.drain_timeout = options_.flags.journal.drain_timeout;
  // Nobody could go on with what a drain leaves in a folder that is removed.
  if (state_.is_temporary() && !options_.is_private) launch.drain_timeout = kNoDrainTimeout;
  launch.host = options_.flags.host;
  launch.port = options_.flags.port;
  launch.worker_port = options_.flags.worker_port;
  launch.allow_probes = options_.allow_probes;
  launch.log_file = log_file_;
  return coordinator_.start(launch);
}

Status Cluster::wait_for_doors() {
  TimeUs deadline_us = clock_.now_us() + kDoorsUs;
  while (!coordinator_.doors_open()) {
    deadline_us += standstill_.gap_us(clock_.now_us());
    if (clock_.now_us() > deadline_us) {
      return timed_out("TRI-UP-010",
                       "the coordinator did not open its doors within 10 s; run with --verbose to "
                       "see its output");
    }
    if (interrupts_.count() > 0) return unavailable("TRI-UP-013", "interrupted while starting");
    poll_children(kMaxPollMs);
    read_coordinator();
    if (coordinator_.has_ended()) return coordinator_.end_error();
  }
  return coordinator_.worker_key().status();
}

// It listens while the groups load, so that its /ready tells their progress.
Status Cluster::start_gateway() {
  if (!options_.gateway) return ok_status();
  gateway_.emplace(options_.flags, *options_.gateway, listener_);
  return gateway_->start(endpoint(), log_file_);
}

// Ranks of an earlier coordinator hold memory and devices, and one that had not connected yet could
// take a seat of the present one: they are gone before the next are launched.
bool Cluster::may_launch() {
  old_groups_end_ = old_groups_end_ && groups_.has_retired();
  return coordinator_.doors_open() && !old_groups_end_;
}

Status Cluster::launch_due() {
  if (!may_launch()) return ok_status();
  for (const int index : supervisor_.take_due(clock_.now_us())) RETURN_IF_ERROR(launch(index));
  return ok_status();
}

Status Cluster::launch(int index) {
  WorkerLaunch launch = preflight_.launch_of(options_.flags, index);
  launch.worker_endpoint = coordinator_.doors().worker_endpoint;
  ASSIGN_OR_RETURN(launch.worker_key, coordinator_.worker_key());
  // The state folder need not exist on other hosts: there only a file that was named is used.
  launch.log_file = preflight_.hosts.empty() ? log_file_ : options_.flags.log.file;
  launch.vocabulary_limit = options_.limit_vocabulary ? preflight_.vocabulary_limit() : 0;
  return groups_.launch(index, ranks_command(options_.flags, launch));
}

Status Cluster::wait_until_ready() {
  Status status = ok_status();
  TimeUs groups_ready_us = 0;
  while (status.ok() && (!was_ready_ || (gateway_ && !gateway_->was_ready()))) {
    status = pump(kMaxPollMs);
    if (status.ok() && failure_) status = *failure_;
    if (was_ready_ && groups_ready_us == 0) groups_ready_us = clock_.now_us();
    if (status.ok() && was_ready_ && clock_.now_us() - groups_ready_us > kGatewayReadyUs) {
      status = timed_out("TRI-UP-022",
                         "the groups are ready, but the gateway has not reached the coordinator "
                         "for {} s; --no-http starts none",
                         kGatewayReadyUs / 1'000'000);
    }
    if (status.ok() && interrupts_.count() > 0) {
      status = unavailable("TRI-UP-013", "interrupted while the groups were starting");
    }
  }
  listener_.progress_ended();
  return status;
}

// A group that waits for the end of old ones is woken by it.
int Cluster::until_next_start(int timeout_ms) {
  const auto next_us = may_launch() ? supervisor_.next_start_us() : coordinator_.next_start_us();
  if (!next_us) return timeout_ms;
  const TimeUs left_us = std::max<TimeUs>(0, *next_us - clock_.now_us());
  return static_cast<int>(std::min<TimeUs>(timeout_ms, left_us / 1000 + 1));
}

Status Cluster::pump(int timeout_ms) {
  RETURN_IF_ERROR(launch_due());
  poll_children(until_next_start(timeout_ms));
  // Behind the wait, in which this process spends its time, and before silence is judged.
  const TimeUs gap_us = standstill_.gap_us(clock_.now_us());
  groups_.forgive(gap_us);
  coordinator_.forgive(gap_us);
  read_coordinator();
  groups_.read();
  if (!ending_) check_silent_groups();
  groups_.reap_retired();
  RETURN_IF_ERROR(check_coordinator());
  return gateway_ ? gateway_->pump() : ok_status();
}

void Cluster::poll_children(int timeout_ms) {
  std::vector<pollfd> waits = {{interrupts_.fd(), POLLIN, 0}};
  for (const int fd : coordinator_.descriptors()) waits.push_back({fd, POLLIN, 0});
  if (gateway_) {
    for (const int fd : gateway_->descriptors()) waits.push_back({fd, POLLIN, 0});
  }
  groups_.add_descriptors(waits);
  ::poll(waits.data(), waits.size(), std::clamp(timeout_ms, 0, kMaxPollMs));
}

void Cluster::read_coordinator() {
  for (const CoordinatorEvent& event : coordinator_.read()) {
    if (event.kind == Kind::kDoors) groups_.await_ranks();
    on_event(event);
  }
}

Status Cluster::check_coordinator() {
  if (ending_ || coordinator_.has_drained()) return ok_status();
  if (!was_ready_) {
    return coordinator_.has_ended() ? coordinator_.end_error() : ok_status();
  }
  ASSIGN_OR_RETURN(const bool lost, coordinator_.supervise());
  if (!lost) return ok_status();
  if (keeps_journal()) {
    supervisor_.await_all(clock_.now_us());
    return ok_status();
  }
  supervisor_.restart_all(clock_.now_us());
  groups_.retire_all();
  old_groups_end_ = true;
  return ok_status();
}

// Restarts (before the first ready: fails) groups that the coordinator cannot know to be lost:
// their process has ended, or no rank has connected in time.
void Cluster::check_silent_groups() {
  const TimeUs now_us = clock_.now_us();
  for (int i = 0; i < groups_.num_groups(); ++i) {
    GroupProcess& group = groups_[i];
    if (!supervisor_.is_starting(i) || !group.process.started()) continue;
    const bool ended = group.ended_us && now_us - *group.ended_us > kExplainUs;
    const bool silent =
        coordinator_.doors_open() && !group.rank_seen && now_us - group.launched_us > kFirstRankUs;
    if (!ended && !silent) continue;
    if (!was_ready_) {
      failure_ = start_failure(groups_, i, nullptr);
      return;
    }
    const TimeUs delay_us = supervisor_.on_lost(i, now_us);
    listener_.warn(format_text(
        "group {} did not start: {}; it starts again {}",
        i,
        ended ? describe_output(group.tail, describe_end(group)) : "no rank has connected",
        describe_delay(delay_us)));
    groups_.retire(i);
  }
}

void Cluster::on_event(const CoordinatorEvent& event) {
  const bool has_group = event.group >= 0 && event.group < groups_.num_groups();
  if (!has_group) return;
  switch (event.kind) {
    case Kind::kRank:
      groups_[event.group].rank_seen = true;
      break;
    case Kind::kLoading:
      if (!was_ready_) listener_.progress(event.loaded_bytes, event.total_bytes);
      break;
    case Kind::kGroupReady:
      on_ready(event);
      break;
    case Kind::kGroupLost:
      on_lost(event);
      break;
    case Kind::kNoChat:
      if (!options_.is_private) listener_.warn("chats are refused: " + event.text);
      break;
    default:
      break;
  }
  listener_.on_event(event);
}

void Cluster::on_ready(const CoordinatorEvent& event) {
  supervisor_.on_ready(event.group, clock_.now_us());
  const double seconds =
      static_cast<double>(clock_.now_us() - groups_[event.group].launched_us) * 1e-6;
  const std::string length = format_text("sequences up to {} tokens", event.max_model_len);
  if (!options_.is_private || was_ready_) {
    listener_.note(
        format_text("group {} ready after {}: tp {} x pp {}, {} on {} ({}), KV for {} tokens, {}",
                    event.group,
                    format_seconds(seconds),
                    event.tp,
                    event.pp,
                    event.dtype,
                    event.backend,
                    event.isa,
                    event.pages * event.page_tokens,
                    length));
  }
  const int64_t requested = preflight_.requested_model_len(options_.flags);
  if (requested > event.max_model_len) {
    listener_.warn(format_text("{}, lowered from {}: more KV does not fit", length, requested));
  }
  if (supervisor_.all_ready()) was_ready_ = true;
}

void Cluster::on_lost(const CoordinatorEvent& event) {
  const bool is_launched =
      supervisor_.is_starting(event.group) || supervisor_.is_ready(event.group);
  if (ending_ || !is_launched) return;  // else a rank that came from elsewhere
  if (!was_ready_) {
    if (!failure_) failure_ = start_failure(groups_, event.group, &event);
    return;
  }
  const TimeUs delay_us = supervisor_.on_lost(event.group, clock_.now_us(), event.steps > 0);
  listener_.warn(format_text("group {} is lost, {}; it starts again {}",
                             event.group,
                             describe_loss(event),
                             describe_delay(delay_us)));
  groups_.retire(event.group);
}

Status Cluster::drain() {
  ending_ = true;
  if (gateway_) gateway_->drain();
  if (!coordinator_.has_drained() && !coordinator_.write_line("drain")) {
    read_coordinator();
    return coordinator_.end_error();
  }
  while (!coordinator_.has_ended()) {
    RETURN_IF_ERROR(pump(kMaxPollMs));
    if (interrupts_.count() > 1) return unavailable("TRI-UP-013", "stopped while draining");
  }
  if (!coordinator_.has_drained()) return coordinator_.end_error();
  if (gateway_) gateway_->end(kStopMs);
  groups_.end_all(kStopMs);
  return join_traces();
}

void Cluster::stop() {
  ending_ = true;
  if (coordinator_.is_running()) {
    coordinator_.write_line("stop");
    const TimeUs deadline_us = clock_.now_us() + kStopMs * TimeUs{1000};
    while (coordinator_.is_running() && clock_.now_us() < deadline_us) {
      poll_children(kMaxPollMs);
      read_coordinator();
      groups_.read();
    }
    coordinator_.kill();
  }
  if (gateway_) gateway_->end(kLeaveMs);
  groups_.end_all(kLeaveMs);
}

// Joins the trace files of the coordinator and of this host's ranks into --trace, and removes them.
Status Cluster::join_traces() {
  if (options_.flags.trace.empty()) return ok_status();
  std::vector<std::string> parts = {coordinator_trace(options_.flags)};
  for (int group = 0; group < options_.flags.groups; ++group) {
    for (int rank = 0; rank < options_.flags.num_ranks(); ++rank) {
      parts.push_back(format_text("{}.group{}.rank{}", options_.flags.trace, group, rank));
    }
  }
  std::error_code error;
  std::erase_if(parts, [&](const std::string& part) {
    const bool is_missing = !fs::exists(part, error);
    if (is_missing)
      listener_.warn(format_text("{} was not written; the trace lacks its spans", part));
    return is_missing;
  });
  RETURN_IF_ERROR(trireme::join_traces(parts, options_.flags.trace));
  for (const std::string& part : parts) fs::remove(part, error);
  return ok_status();
}

}  // namespace trireme
