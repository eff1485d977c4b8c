#include "launch/cluster.h"

#include <poll.h>

#include <algorithm>
#include <csignal>
#include <filesystem>
#include <fstream>

#include "base/environment.h"
#include "base/exit_status.h"
#include "base/log.h"
#include "base/text.h"
#include "base/trace.h"
#include "launch/mpirun_output.h"

namespace trireme {

namespace {

namespace fs = std::filesystem;
using Kind = CoordinatorEvent::Kind;

constexpr TimeUs kSecond = 1'000'000;
constexpr TimeUs kDoorsUs = 10 * kSecond;
constexpr TimeUs kFirstRankUs = 24 * kSecond;  // from the launch to a rank's first message
constexpr TimeUs kExplainUs = kSecond;  // after the end, for the coordinator to name the cause
constexpr int kStopMs = 3'000;
constexpr int kLeaveMs = 300;    // ranks whose coordinator is gone leave by themselves
constexpr int kCauseMs = 1'500;  // for mpirun to print the cause of a rank's end
constexpr int kSignalled = 128;  // an exit status above it: ended by a signal
constexpr size_t kTailLines = 200;
constexpr int kMaxPollMs = 200;

std::string describe(const CoordinatorEvent& lost) {
  std::string who =
      lost.rank >= 0 ? format_text("rank {}", lost.rank) : std::string("no single rank");
  if (!lost.host.empty()) who += " on " + lost.host;
  if (!lost.phase.empty()) who += format_text(" ({})", lost.phase);
  return format_text("{}: {}", who, lost.text);
}

// The process of a group is mpirun, or the worker itself (is_one_process()).
std::string describe_end(GroupProcess& group) {
  const int status = group.process.exit_status().value_or(-1);
  if (status > kSignalled) {
    return format_text("its process was ended by signal {}", status - kSignalled);
  }
  return format_text("its process ended with status {}", status);
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
  ASSIGN_OR_RETURN(cluster->state_, StateFolder::make(options.flags.state, options.is_private));
  if (!cluster->state_.note().empty()) listener.note(cluster->state_.note());
  cluster->log_file_ = options.flags.log.file;
  if (!cluster->log_file_.empty()) {
    RETURN_IF_ERROR(prepare_log_file(cluster->log_file_));
  } else if (!options.is_private) {
    cluster->use_default_log_file();
  }
  RETURN_IF_ERROR(cluster->start_coordinator());
  RETURN_IF_ERROR(cluster->wait_for_doors());
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

Status Cluster::start_coordinator() {
  CoordinatorLaunch launch;
  launch.state = state_.path();
  launch.host = options_.flags.host;
  launch.port = options_.flags.port;
  launch.allow_probes = options_.allow_probes;
  launch.log_file = log_file_;
  ASSIGN_OR_RETURN(coordinator_, Process::start(coordinator_command(options_.flags, launch)));
  return ok_status();
}

Status Cluster::wait_for_doors() {
  TimeUs deadline_us = clock_.now_us() + kDoorsUs;
  while (!doors_open_) {
    deadline_us += standstill_.gap_us(clock_.now_us());
    if (clock_.now_us() > deadline_us) {
      return timed_out("TRI-UP-010",
                       "the coordinator did not open its doors within 10 s; run with --verbose to "
                       "see its output");
    }
    if (interrupts_.count() > 0) return unavailable("TRI-UP-013", "interrupted while starting");
    poll_children(kMaxPollMs);
    read_coordinator();
    if (coordinator_.exit_status()) return coordinator_gone();
  }
  if (doors_.worker_key_file.empty()) return ok_status();
  std::ifstream file(doors_.worker_key_file);
  if (file >> worker_key_) return ok_status();
  return unavailable(
      "TRI-UP-010", "cannot read the key of this launch, {}", doors_.worker_key_file);
}

Status Cluster::coordinator_gone() {
  read_coordinator();
  const int status = coordinator_.exit_status().value_or(1);
  std::string words = failure_ ? message_of(*failure_) : "";
  if (words.empty() && !coordinator_tail_.empty()) words = coordinator_tail_.back();
  if (words.empty()) words = format_text("exit status {}", status);
  if (!doors_open_ && status == kBadInput) {
    return words.starts_with("TRI-")
               ? absl::InvalidArgumentError(words)
               : invalid("TRI-UP-010", "the coordinator rejected its flags: {}", words);
  }
  if (!doors_open_ && words.starts_with("TRI-")) return absl::UnavailableError(words);
  return unavailable(doors_open_ ? "TRI-UP-014" : "TRI-UP-010",
                     "the coordinator has ended{}{}; run with --verbose to see all its output",
                     doors_open_ ? ", and with it the cluster: " : " before it opened its doors: ",
                     words);
}

Status Cluster::launch_due() {
  for (const int index : supervisor_.take_due(clock_.now_us())) RETURN_IF_ERROR(launch(index));
  return ok_status();
}

Status Cluster::launch(int index) {
  WorkerLaunch launch = preflight_.launch_of(options_.flags, index);
  launch.worker_endpoint = doors_.worker_endpoint;
  launch.worker_key = worker_key_;
  // The state folder need not exist on other hosts: there only a file that was named is used.
  launch.log_file = preflight_.hosts.empty() ? log_file_ : options_.flags.log.file;
  launch.vocabulary_limit = options_.limit_vocabulary ? preflight_.vocabulary_limit() : 0;
  return groups_.launch(index, ranks_command(options_.flags, launch));
}

Status Cluster::wait_until_ready() {
  Status status = ok_status();
  while (status.ok() && !was_ready_) {
    status = pump(kMaxPollMs);
    if (status.ok() && failure_) status = *failure_;
    if (status.ok() && interrupts_.count() > 0) {
      status = unavailable("TRI-UP-013", "interrupted while the groups were starting");
    }
  }
  listener_.progress_ended();
  return status;
}

Status Cluster::pump(int timeout_ms) {
  groups_.forgive(standstill_.gap_us(clock_.now_us()));
  RETURN_IF_ERROR(launch_due());
  if (const auto next_us = supervisor_.next_start_us()) {
    const TimeUs left_us = std::max<TimeUs>(0, *next_us - clock_.now_us());
    timeout_ms = static_cast<int>(std::min<TimeUs>(timeout_ms, left_us / 1000 + 1));
  }
  poll_children(timeout_ms);
  read_coordinator();
  groups_.read();
  if (!ending_) check_silent_groups();
  groups_.reap_retired();
  if (coordinator_.exit_status() && !drained_ && !ending_) return coordinator_gone();
  return ok_status();
}

void Cluster::poll_children(int timeout_ms) {
  std::vector<pollfd> waits = {{interrupts_.fd(), POLLIN, 0}};
  for (const int fd : coordinator_.descriptors()) waits.push_back({fd, POLLIN, 0});
  groups_.add_descriptors(waits);
  ::poll(waits.data(), waits.size(), std::clamp(timeout_ms, 0, kMaxPollMs));
}

void Cluster::read_coordinator() {
  std::vector<std::string> out;
  std::vector<std::string> err;
  coordinator_.read_lines(out, err);
  for (const std::string& line : err) {
    if (options_.flags.verbose) listener_.note("coordinator | " + line);
    if (is_log_line(line)) continue;  // the tail is searched for the cause of an end
    coordinator_tail_.push_back(line);
    if (coordinator_tail_.size() > kTailLines) coordinator_tail_.pop_front();
  }
  for (const std::string& line : out) {
    if (const auto event = parse_coordinator_event(line)) on_event(*event);
  }
}

// Restarts (before the first ready: fails) groups that the coordinator cannot know to be lost:
// their process has ended, or no rank has connected in time.
void Cluster::check_silent_groups() {
  const TimeUs now_us = clock_.now_us();
  for (int i = 0; i < groups_.num_groups(); ++i) {
    GroupProcess& group = groups_[i];
    if (!supervisor_.is_starting(i) || !group.process.started()) continue;
    const bool ended = group.ended_us && now_us - *group.ended_us > kExplainUs;
    const bool silent = !group.rank_seen && now_us - group.launched_us > kFirstRankUs;
    if (!ended && !silent) continue;
    if (!was_ready_) {
      failure_ = start_failure(i, nullptr);
      return;
    }
    const TimeUs delay_us = supervisor_.on_lost(i, now_us);
    listener_.warn(format_text(
        "group {} did not start: {}; it starts again in {} s",
        i,
        ended ? describe_output(group.tail, describe_end(group)) : "no rank has connected",
        delay_us / kSecond));
    groups_.retire(i);
  }
}

Status Cluster::start_failure(int index, const CoordinatorEvent* event) {
  GroupProcess& group = groups_[index];
  // mpirun prints what ended a process; the coordinator only knows that it is gone.
  if (group.process.wait_exit(event != nullptr ? kCauseMs : 0)) groups_.read();
  if (event == nullptr && !group.ended_us) {
    return timed_out(
        "TRI-UP-012",
        "no rank of group {} connected within {} s of its launch: {}",
        index,
        kFirstRankUs / kSecond,
        describe_output(group.tail, "it printed no cause", "; `trireme doctor` shows more"));
  }
  constexpr char kAdvice[] = "; --verbose shows all output";
  if (event == nullptr) {
    return unavailable("TRI-UP-011",
                       "group {} could not start: {}",
                       index,
                       describe_output(group.tail, describe_end(group), kAdvice));
  }
  std::string cause = describe(*event);
  const std::string words = cause_in_output(group.tail);
  if (words.find("exited on signal") != std::string::npos) {
    cause += format_text(" (mpirun: {})", words);
  } else if (group.process.exit_status().value_or(0) > kSignalled) {
    cause += format_text(" ({})", describe_end(group));
  }
  return unavailable(
      "TRI-UP-011", "group {} could not start: {}{}", index, cause, event->memory ? "" : kAdvice);
}

void Cluster::on_event(const CoordinatorEvent& event) {
  const bool has_group = event.group >= 0 && event.group < groups_.num_groups();
  if (!has_group) return;
  switch (event.kind) {
    case Kind::kDoors:
      doors_ = event;
      doors_open_ = true;
      break;
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
    case Kind::kDrained:
      drained_ = true;
      break;
    case Kind::kError:
      failure_ = absl::UnavailableError(event.text);
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
  if (ending_) return;
  if (!was_ready_) {
    if (!failure_) failure_ = start_failure(event.group, &event);
    return;
  }
  const TimeUs delay_us = supervisor_.on_lost(event.group, clock_.now_us());
  listener_.warn(format_text("group {} is lost, {}; it starts again in {} s",
                             event.group,
                             describe(event),
                             delay_us / kSecond));
  groups_.retire(event.group);
}

Status Cluster::drain() {
  ending_ = true;
  if (!coordinator_.write_line("drain")) return coordinator_gone();
  while (!coordinator_.exit_status()) {
    RETURN_IF_ERROR(pump(kMaxPollMs));
    if (interrupts_.count() > 1) return unavailable("TRI-UP-013", "stopped while draining");
  }
  groups_.end_all(kStopMs);
  return join_traces();
}

void Cluster::stop() {
  ending_ = true;
  if (coordinator_.started() && !coordinator_.exit_status()) {
    coordinator_.write_line("stop");
    const TimeUs deadline_us = clock_.now_us() + kStopMs * TimeUs{1000};
    while (!coordinator_.exit_status() && clock_.now_us() < deadline_us) {
      poll_children(kMaxPollMs);
      read_coordinator();
      groups_.read();
    }
    coordinator_.signal_group(SIGKILL);
  }
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
