#include "launch/coordinator_process.h"

#include <charconv>
#include <csignal>
#include <cstring>
#include <fstream>

#include "base/exit_status.h"
#include "base/log.h"
#include "base/text.h"
#include "launch/supervision/restart_delays.h"

namespace trireme {

namespace {

using Kind = CoordinatorEvent::Kind;

}  // namespace

int port_of(const std::string& endpoint) {
  int port = 0;
  const size_t digits = endpoint.rfind(':') + 1;  // 0: no colon, and no digit there
  std::from_chars(endpoint.data() + digits, endpoint.data() + endpoint.size(), port);
  return port;
}

Status CoordinatorProcess::start(const CoordinatorLaunch& launch_options) {
  launch_ = launch_options;
  supervisor_.on_start(clock_.now_us());
  return launch();
}

Status CoordinatorProcess::launch() {
  ASSIGN_OR_RETURN(process_, Process::start(coordinator_command(flags_, launch_)));
  return ok_status();
}

std::vector<CoordinatorEvent> CoordinatorProcess::read() {
  if (!process_.started()) return {};
  exit_status_ = process_.exit_status();  // first: its last lines are read below
  end_signal_ = process_.end_signal();
  std::vector<std::string> out;
  std::vector<std::string> err;
  process_.read_lines(out, err);
  for (const std::string& line : err) {
    if (flags_.verbose) listener_.note("coordinator | " + line);
    if (is_log_line(line)) continue;  // the tail is searched for the cause of an end
    tail_.push_back(line);
    if (tail_.size() > kTailLines) tail_.pop_front();
  }
  std::vector<CoordinatorEvent> events;
  for (const std::string& line : out) {
    supervisor_.on_line(clock_.now_us());
    if (auto event = parse_coordinator_event(line)) {
      on_event(*event);
      events.push_back(std::move(*event));
    }
  }
  return events;
}

void CoordinatorProcess::on_event(const CoordinatorEvent& event) {
  if (event.kind == Kind::kDrained) has_drained_ = true;
  if (event.kind == Kind::kError) last_error_ = event.text;
  if (event.kind == Kind::kGroupReady) supervisor_.on_group_ready();
  if (event.kind != Kind::kDoors) return;
  doors_ = event;
  doors_open_ = true;
  launch_.port = port_of(event.client_endpoint);
  launch_.worker_port = port_of(event.worker_endpoint);
  supervisor_.on_doors();
  if (!std::exchange(was_open_, true)) return;
  listener_.note(
      format_text("the coordinator is back at {} after {}",
                  event.client_endpoint,
                  format_seconds(static_cast<double>(clock_.now_us() - lost_us_) * 1e-6)));
  listener_.on_coordinator_back(event);
}

StatusOr<bool> CoordinatorProcess::supervise() {
  const TimeUs now_us = clock_.now_us();
  if (!process_.started()) {
    if (supervisor_.is_due(now_us)) start_again();
    return false;
  }
  if (!has_ended()) {
    if (!was_silent_ && supervisor_.is_silent(now_us)) {
      was_silent_ = true;
      kill();
    }
    return false;
  }
  if (!starts_again(*exit_status_, has_drained_) || !supervisor_.may_start_again(now_us)) {
    return end_error();
  }
  process_ = Process();
  doors_open_ = false;
  lost_us_ = now_us;
  const TimeUs delay_us = supervisor_.on_end(now_us);
  const std::string cause = describe_end();
  listener_.warn(format_text(
      "the coordinator has ended: {}; it starts again {}", cause, describe_delay(delay_us)));
  listener_.on_coordinator_lost(cause, delay_us / 1'000);
  return true;
}

void CoordinatorProcess::start_again() {
  tail_.clear();
  last_error_.clear();
  was_silent_ = false;
  launch_.keep_worker_key = true;
  supervisor_.on_start(clock_.now_us());
  const Status status = launch();
  if (status.ok()) {
    exit_status_.reset();
    return;
  }
  const TimeUs delay_us = supervisor_.on_end(clock_.now_us());
  listener_.warn(
      format_text("{}; it is tried again {}", message_of(status), describe_delay(delay_us)));
}

StatusOr<std::string> CoordinatorProcess::worker_key() const {
  std::string key;
  if (doors_.worker_key_file.empty()) return key;
  std::ifstream file(doors_.worker_key_file);
  if (file >> key) return key;
  return unavailable(
      "TRI-UP-010", "cannot read the key of this launch, {}", doors_.worker_key_file);
}

std::string CoordinatorProcess::last_words() const {
  if (!last_error_.empty()) return last_error_;
  return tail_.empty() ? "" : tail_.back();
}

std::string CoordinatorProcess::describe_end() const {
  const std::string words = last_words();
  const std::string end = words.empty() ? "" : ": " + words;
  if (was_silent_) {
    return format_text("it said nothing for {} s and was killed{}",
                       CoordinatorSupervisor::kSilentUs / 1'000'000,
                       end);
  }
  if (end_signal_ == 0) return format_text("exit status {}{}", exit_status_.value_or(-1), end);
  const char* const name = ::sigabbrev_np(end_signal_);
  return format_text("killed by signal {} (SIG{}){}", end_signal_, name ? name : "?", end);
}

Status CoordinatorProcess::end_error() const {
  std::string words = last_words();
  if (words.empty()) words = describe_end();
  if (!doors_open_ && exit_status_ == kBadInput) {
    return words.starts_with("TRI-")
               ? absl::InvalidArgumentError(words)
               : invalid("TRI-UP-010", "the coordinator rejected its flags: {}", words);
  }
  if (!was_open_ && words.starts_with("TRI-")) return absl::UnavailableError(words);
  return unavailable(was_open_ ? "TRI-UP-014" : "TRI-UP-010",
                     "the coordinator has ended{}{}; run with --verbose to see all its output",
                     was_open_ ? ", and with it the cluster: " : " before it opened its doors: ",
                     words);
}

void CoordinatorProcess::kill() const { process_.signal_group(SIGKILL); }

}  // namespace trireme
