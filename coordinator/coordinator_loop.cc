#include "coordinator/coordinator_loop.h"

#include <sys/signalfd.h>
#include <unistd.h>

#include <algorithm>

namespace trireme {
namespace {

constexpr TimeUs kParkedRetryUs = 5'000;
constexpr TimeUs kDrainCheckUs = 20'000;
constexpr TimeUs kDrainWithoutGroupUs = 10'000'000;  // then no group is expected any more
constexpr int kExitDrained = 0;
constexpr int kExitStopped = 130;

}  // namespace

CoordinatorLoop::CoordinatorLoop(const CoordinatorParts& parts)
    : parts_(parts), started_us_(parts.clock->now_us()), now_us_(started_us_) {}

void CoordinatorLoop::restore(std::vector<RestoredRequest> requests) {
  events_.push_back(event::Restored{std::move(requests)});
}

int CoordinatorLoop::run() {
  pump();
  while (!stopped_ && !(draining_ && is_drained())) one_turn();
  parts_.worker_set->fence_all(stopped_ ? "TRI-GRP-053: the coordinator was stopped"
                                        : "TRI-GRP-054: the cluster has drained",
                               !stopped_);
  parts_.lines->say(stopped_ ? "stopped" : "drained");
  parts_.log->ended(stopped_, parts_.engine->status());
  return stopped_ ? kExitStopped : kExitDrained;
}

void CoordinatorLoop::one_turn() {
  parts_.transport->turn(wait_us(), *this);
  now_us_ = parts_.clock->now_us();
  take_tokenized();
  if (next_engine_tick_us_ != 0 && now_us_ >= next_engine_tick_us_) {
    events_.push_back(event::Tick{});
  }
  parts_.front_door->tick(now_us_, door_output_);
  if (now_us_ >= next_check_us_) {
    parts_.worker_set->tick(now_us_, worker_output_);
    check_journal();
    parts_.lines->tick(now_us_);
    next_check_us_ = now_us_ + WorkerSet::check_interval_us();
  }
  pump();
  parts_.front_door->flush(now_us_, door_output_);
  send_more();
  pump();
  for (const Refusal& refusal : parts_.front_door->take_refusals()) {
    parts_.log->refusal(refusal, now_us_);
  }
}

// Streams that have more to send get their next share, now that the last one was flushed. Those of
// a connection whose frames are parked wait until these have left.
void CoordinatorLoop::send_more() {
  const std::vector<ConnectionId> behind = parts_.engine->take_behind();
  has_more_ = !behind.empty();
  for (const ConnectionId connection : behind) {
    if (!parts_.front_door->is_parked(connection)) {
      events_.push_back(event::Writable{connection});
    }
  }
}

int64_t CoordinatorLoop::wait_us() const {
  if (has_more_) return 0;
  TimeUs until = next_check_us_;
  if (next_engine_tick_us_ != 0) until = std::min(until, next_engine_tick_us_);
  if (const TimeUs due = parts_.front_door->next_tick_us(); due != 0) until = std::min(until, due);
  if (parts_.front_door->has_parked()) until = std::min(until, now_us_ + kParkedRetryUs);
  if (draining_) until = std::min(until, now_us_ + kDrainCheckUs);
  return std::max<TimeUs>(until - now_us_, 0);
}

// The time of arrival: all times of the answer count from it.
void CoordinatorLoop::on_client_frame(PeerId peer, std::string_view frame) {
  now_us_ = parts_.clock->now_us();
  parts_.front_door->on_frame(peer, frame, now_us_, door_output_);
}

void CoordinatorLoop::on_client_gone(PeerId peer) {
  parts_.front_door->on_gone(peer, door_output_);
}

// A result frees a pipeline stage: the next plan leaves before the next frame is handled.
void CoordinatorLoop::on_worker_frame(PeerId peer, std::string_view frame) {
  now_us_ = parts_.clock->now_us();
  parts_.worker_set->on_frame(peer, frame, now_us_, worker_output_);
  pump();
}

void CoordinatorLoop::on_worker_gone(PeerId peer) {
  now_us_ = parts_.clock->now_us();
  parts_.worker_set->on_gone(peer, now_us_, worker_output_);
}

void CoordinatorLoop::on_readable(int fd) {
  if (fd == parts_.signal_fd) {
    signalfd_siginfo info;
    if (::read(fd, &info, sizeof info) != sizeof info) return;
    stopped_ = draining_;
    begin_drain();
    return;
  }
  char buffer[256];
  const ssize_t got = ::read(fd, buffer, sizeof buffer);
  if (got <= 0) {
    stopped_ = true;
    return;
  }
  for (const char c : std::string_view(buffer, static_cast<size_t>(got))) {
    if (c != '\n') {
      if (control_line_.size() < sizeof buffer) control_line_ += c;
      continue;
    }
    if (control_line_ == "drain") begin_drain();
    if (control_line_ == "stop") stopped_ = true;
    control_line_.clear();
  }
}

void CoordinatorLoop::begin_drain() {
  if (draining_) return;
  draining_ = true;
  draining_since_us_ = now_us_;
  parts_.lines->say("draining");
  parts_.log->draining(parts_.engine->status());
  parts_.front_door->drain();
}

bool CoordinatorLoop::is_drained() const {
  const EngineStatus status = parts_.engine->status();
  const TimeUs waited_us = now_us_ - draining_since_us_;
  const bool has_group = parts_.worker_set->num_ready() > 0;
  if (parts_.drain_timeout_us && waited_us > *parts_.drain_timeout_us) return true;
  if (!has_group && status.waiting + status.running > 0 && waited_us > kDrainWithoutGroupUs) {
    return true;
  }
  return status.waiting == 0 && status.running == 0 && !parts_.front_door->has_streams();
}

void CoordinatorLoop::take_tokenized() {
  if (parts_.tokenizers == nullptr) return;
  for (TokenizerResult& result : parts_.tokenizers->take()) {
    parts_.front_door->on_tokenized(std::move(result), door_output_);
  }
}

// Moves the outputs of both doors into the event queue and handles those that need no Engine:
// notices, tokenizer jobs, status requests.
void CoordinatorLoop::collect() {
  for (Event& event : worker_output_.events) {
    if (parts_.trace != nullptr) parts_.trace->on_event(event, now_us_);
    events_.push_back(std::move(event));
  }
  for (const Notice& notice : worker_output_.notices) {
    parts_.lines->notice(notice, now_us_);
    parts_.log->notice(notice);
  }
  const bool groups_changed = !worker_output_.notices.empty();
  worker_output_.events.clear();
  worker_output_.notices.clear();
  if (groups_changed) {
    parts_.front_door->set_groups(parts_.worker_set->num_ready(),
                                  parts_.worker_set->max_model_len());
  }
  for (Event& event : door_output_.events) events_.push_back(std::move(event));
  door_output_.events.clear();
  for (TokenizerJob& job : door_output_.jobs) {
    const uint64_t number = job.number;
    if (!parts_.tokenizers->submit(std::move(job))) parts_.front_door->on_tokenizer_full(number);
  }
  door_output_.jobs.clear();
  for (const uint64_t number : door_output_.dropped_jobs) parts_.tokenizers->drop(number);
  door_output_.dropped_jobs.clear();
  answer_questions();
}

void CoordinatorLoop::take_durable() {
  if (const auto sequence = parts_.journal->take_durable()) {
    events_.push_back(event::Durable{*sequence});
  }
}

// A disk that fails is tried again by the journal; one that has failed for long ends all requests.
void CoordinatorLoop::check_journal() {
  for (const Status& failure : parts_.journal->take_failures()) {
    parts_.log->journal_failure(failure);
    journal_failure_ = failure;
  }
  if (parts_.journal->take_room_news()) events_.push_back(event::Tick{});
  if (journal_failed_ || !parts_.journal->has_failed()) return;
  journal_failed_ = true;
  events_.push_back(event::JournalFailed{journal_failure_});
}

void CoordinatorLoop::pump() {
  take_durable();
  collect();
  while (!events_.empty()) {
    Event event = std::move(events_.front());
    events_.pop_front();
    effects_.clear();
    parts_.engine->on(std::move(event), now_us_, effects_);
    for (Effect& effect : effects_) {
      std::visit([this](auto& value) { apply(value); }, effect);
    }
    take_durable();
    collect();
  }
  next_engine_tick_us_ = parts_.engine->next_tick_us();
}

void CoordinatorLoop::apply(effect::SendPlan& effect) {
  parts_.worker_set->on_effect(effect, now_us_, worker_output_);
  if (parts_.trace != nullptr) parts_.trace->on_plan(effect, parts_.clock->now_us());
}

void CoordinatorLoop::apply(effect::Append& effect) {
  parts_.journal->append(effect.sequence, std::move(effect.record));
}

void CoordinatorLoop::apply(effect::Accept& effect) {
  parts_.front_door->on_effect(effect, door_output_);
}

void CoordinatorLoop::apply(effect::Refuse& effect) { parts_.front_door->on_effect(effect); }

void CoordinatorLoop::apply(effect::Tokens& effect) {
  parts_.front_door->on_effect(std::move(effect));
}

void CoordinatorLoop::apply(effect::Progress& effect) { parts_.front_door->on_effect(effect); }

void CoordinatorLoop::apply(effect::PromptLogprobs& effect) {
  parts_.front_door->on_effect(std::move(effect));
}

void CoordinatorLoop::apply(effect::ProbeValues& effect) {
  parts_.front_door->on_effect(std::move(effect));
}

void CoordinatorLoop::apply(effect::Finish& effect) {
  parts_.front_door->on_effect(std::move(effect));
}

void CoordinatorLoop::answer_questions() {
  if (!door_output_.status_questions.empty()) {
    const door::StatusReply reply = status();
    for (const PeerId peer : door_output_.status_questions) {
      parts_.front_door->answer_status(peer, reply);
    }
    door_output_.status_questions.clear();
  }
  if (door_output_.pings.empty()) return;
  const EngineHealth now = parts_.engine->health(now_us_, parts_.worker_set->progress_us());
  door::Pong pong;
  pong.healthy = now.reason.empty();
  pong.reason = now.reason;
  pong.draining = draining_;
  pong.waiting = now.waiting;
  pong.token_age_ms = now.token_age_ms;
  for (const PingQuestion& ping : door_output_.pings) {
    pong.nonce = ping.nonce;
    parts_.front_door->answer_ping(ping.peer, pong);
  }
  door_output_.pings.clear();
}

door::JournalStatus CoordinatorLoop::journal_status() const {
  const JournalFigures figures = parts_.journal->figures();
  door::JournalStatus status;
  status.state = !figures.is_on       ? "off"
                 : journal_failed_    ? "failed"
                 : figures.is_failing ? "failing"
                                      : "on";
  status.bytes = figures.bytes;
  status.max_bytes = figures.max_bytes;
  status.reserved_bytes = figures.reserved_bytes;
  status.undurable_bytes = figures.undurable_bytes;
  status.unfinished = figures.unfinished;
  status.kept = figures.kept;
  status.foreign = figures.foreign;
  return status;
}

door::StatusReply CoordinatorLoop::status() const {
  const EngineStatus engine = parts_.engine->status();
  door::StatusReply reply;
  reply.server = parts_.front_door->server();
  reply.uptime_ms = (now_us_ - started_us_) / 1000;
  reply.connections = parts_.front_door->num_connections();
  reply.waiting = engine.waiting;
  reply.running = engine.running;
  reply.finished = engine.finished;
  reply.preemptions = engine.preemptions;
  reply.prompt_tokens = engine.prompt_tokens;
  reply.cached_tokens = engine.cached_tokens;
  reply.output_tokens = engine.output_tokens;
  reply.draining = draining_;
  reply.groups = parts_.worker_set->status(now_us_);
  reply.models = {parts_.front_door->model()};
  const EngineHealth health = parts_.engine->health(now_us_, parts_.worker_set->progress_us());
  reply.healthy = health.reason.empty();
  reply.reason = health.reason;
  reply.token_age_ms = health.token_age_ms;
  reply.journal = journal_status();
  for (const EngineStatus::Group& group : engine.groups) {
    const auto found = std::find_if(reply.groups.begin(),
                                    reply.groups.end(),
                                    [&](const auto& each) { return each.group == group.group; });
    if (found == reply.groups.end()) continue;
    found->pages_held = group.pages_held;
    found->pages_cached = group.pages_cached;
    found->slots_used = group.slots_used;
  }
  return reply;
}

}  // namespace trireme
