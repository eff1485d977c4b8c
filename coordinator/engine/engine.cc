#include "coordinator/engine/engine.h"

#include <algorithm>

#include "coordinator/engine/engine_state.h"

namespace trireme {

std::string to_string(const RequestId& id) {
  constexpr char kDigits[] = "0123456789abcdef";
  std::string text(32, '0');
  for (int i = 0; i < 16; ++i) {
    text[15 - i] = kDigits[(id.high >> (4 * i)) & 15];
    text[31 - i] = kDigits[(id.low >> (4 * i)) & 15];
  }
  return text;
}

Engine::Engine(const EngineOptions& options) : state_(std::make_unique<State>(options)) {}
Engine::~Engine() = default;

void Engine::on(Event event, TimeUs now_us, std::vector<Effect>& effects) {
  state_->on(event, now_us, effects);
}

TimeUs Engine::next_tick_us() const { return state_->next_tick_us(); }
std::vector<ConnectionId> Engine::take_behind() { return state_->take_behind(); }
bool Engine::knows_key(const SubmitRequest& submit) const { return state_->knows_key(submit); }
Status Engine::may_wait(const SubmitRequest& submit,
                        int64_t pending,
                        int64_t* retry_after_ms) const {
  return state_->may_wait(submit, pending, retry_after_ms);
}
EngineStatus Engine::status() const { return state_->status(); }
EngineHealth Engine::health(TimeUs now_us, const std::map<GroupId, TimeUs>& heard_us) const {
  return state_->health(now_us, heard_us);
}

Engine::State::State(const EngineOptions& options)
    : options_(options),
      random_(options.random_key),
      kept_(options.max_kept_bytes),
      undurable_(options.journals) {}

void Engine::State::on(Event& event, TimeUs now_us, std::vector<Effect>& effects) {
  Turn turn{now_us, effects};
  last_event_us_ = now_us;
  std::visit([&](auto& one) { handle(turn, one); }, event);
  plan_all(turn);
  send_canaries(turn);
  undurable_.close(effects);
}

TimeUs Engine::State::next_tick_us() const {
  TimeUs next = deadlines_.empty() ? 0 : deadlines_.begin()->first;
  const auto take = [&](TimeUs time) { next = next == 0 ? time : std::min(next, time); };
  if (!progress_due_.empty()) take(progress_due_.begin()->first);
  if (!cancels_.empty()) take(cancels_.begin()->first);
  if (const TimeUs due = next_canary_us(); due != 0) take(due);
  if (kept_.oldest_end_us() != 0) take(kept_.oldest_end_us() + options_.answer_ttl_us);
  const auto unread = unread_.upper_bound({last_event_us_ - kUnreadUs, RequestId{~0ull, ~0ull}});
  if (unread != unread_.end()) take(unread->first + kUnreadUs);
  return next;
}

EngineStatus Engine::State::status() const {
  EngineStatus status = totals_;
  status.waiting = static_cast<int64_t>(waiting_.size());
  status.running = 0;
  for (const auto& [id, group] : groups_) {
    EngineStatus::Group row;
    row.group = id;
    row.epoch = group.shape.epoch;
    row.pages = group.shape.num_pages;
    row.pages_held = group.pool.held();
    row.pages_cached = group.pool.cached();
    row.slots_used = static_cast<int32_t>(group.running.size());
    row.steps = group.next_step - 1;
    row.plans_in_flight = static_cast<int32_t>(group.in_flight.size());
    status.running += row.slots_used;
    status.groups.push_back(row);
  }
  return status;
}

}  // namespace trireme
