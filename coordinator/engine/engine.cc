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
EngineStatus Engine::status() const { return state_->status(); }

Engine::State::State(const EngineOptions& options)
    : options_(options), random_(options.random_seed), kept_(options.max_kept_bytes) {}

void Engine::State::on(Event& event, TimeUs now_us, std::vector<Effect>& effects) {
  Turn turn{now_us, effects};
  last_event_us_ = now_us;
  std::visit([&](auto& one) { handle(turn, one); }, event);
  plan_all(turn);
  promises_.journal(effects);
}

void Engine::State::handle(Turn& turn, event::Durable& event) {
  promises_.release(event.sequence, turn.effects);
}

TimeUs Engine::State::next_tick_us() const {
  const TimeUs deadline = deadlines_.empty() ? 0 : deadlines_.begin()->first;
  const auto unread = unread_.upper_bound({last_event_us_ - kUnreadUs, RequestId{~0ull, ~0ull}});
  if (unread == unread_.end()) return deadline;
  const TimeUs gives_way = unread->first + kUnreadUs;
  return deadline == 0 ? gives_way : std::min(deadline, gives_way);
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
