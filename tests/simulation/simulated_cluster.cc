#include "tests/simulation/simulated_cluster.h"

#include <algorithm>

#include "base/text.h"

namespace trireme {

SimulatedCluster::SimulatedCluster(EngineOptions options, uint64_t seed)
    : engine_(options), random_(seed), vocabulary_(static_cast<int32_t>(options.vocabulary_size)) {}

void SimulatedCluster::note(uint64_t value) {
  trace_hash_ = (trace_hash_ ^ value) * 0x100000001b3 + static_cast<uint64_t>(now_us_);
}

void SimulatedCluster::at(TimeUs at_us, Event event) {
  queue_.push({at_us, order_++, std::move(event)});
}

void SimulatedCluster::feed(Event event) { deliver(event); }

void SimulatedCluster::add_group(GroupShape shape, TimeUs max_delay_us) {
  Member member;
  member.shape = shape;
  member.fake = std::make_unique<FakeGroup>(shape, vocabulary_);
  member.max_delay_us = max_delay_us;
  groups_.insert_or_assign(shape.group, std::move(member));
  deliver(event::GroupReady{shape});
}

void SimulatedCluster::lose_group(GroupId group) {
  const auto found = groups_.find(group);
  if (found == groups_.end()) return;
  const uint64_t epoch = found->second.shape.epoch;
  for (const std::string& text : found->second.fake->problems()) problems_.push_back(text);
  groups_.erase(found);
  deliver(event::GroupLost{group, epoch, unavailable("TRI-GRP-041", "killed by the test")});
}

int SimulatedCluster::submit(SubmitRequest submit) {
  SimulatedRequest request;
  submit.client_tag = requests_.size();
  request.submit = submit;
  request.answers.resize(submit.params.num_choices);
  requests_.push_back(std::move(request));
  deliver(event::Submitted{std::move(submit)});
  return num_requests() - 1;
}

void SimulatedCluster::cancel(int number) {
  const SimulatedRequest& request = requests_.at(number);
  if (request.accepted) deliver(event::Cancelled{request.id, request.submit.connection});
}

void SimulatedCluster::disconnect(ConnectionId connection) {
  deliver(event::Disconnected{connection});
}

void SimulatedCluster::credit(int number, int64_t bytes) {
  const SimulatedRequest& request = requests_.at(number);
  if (request.accepted) deliver(event::Credited{request.submit.connection, request.id, bytes});
}

void SimulatedCluster::deliver(const Event& event) {
  std::vector<Effect> effects;
  engine_.on(event, now_us_, effects);
  for (Effect& effect : effects) {
    note(effect.index());
    std::visit([this](auto& one) { handle(one); }, effect);
  }
}

bool SimulatedCluster::run_one() {
  const TimeUs tick = engine_.next_tick_us();
  if (queue_.empty() || (tick != 0 && tick < queue_.top().at_us)) {
    if (tick == 0) return false;
    now_us_ = std::max(now_us_, tick);
    deliver(event::Tick{});
    return true;
  }
  Entry entry = queue_.top();
  queue_.pop();
  now_us_ = std::max(now_us_, entry.at_us);
  deliver(entry.event);
  return true;
}

void SimulatedCluster::run(int steps) {
  while (steps-- > 0 && run_one()) {
  }
}

SimulatedRequest* SimulatedCluster::find(ConnectionId connection, uint64_t tag) {
  if (connection == 0) return nullptr;  // its client has disconnected
  if (tag >= requests_.size()) {
    problems_.push_back(format_text("an effect for the unknown tag {}", tag));
    return nullptr;
  }
  return &requests_[tag];
}

void SimulatedCluster::handle(effect::Accept& effect) {
  SimulatedRequest* request = find(effect.connection, effect.client_tag);
  if (request == nullptr) return;
  request->accepted = true;
  request->id = effect.request;
  request->seed = effect.seed;
}

void SimulatedCluster::handle(effect::Refuse& effect) {
  SimulatedRequest* request = find(effect.connection, effect.client_tag);
  if (request == nullptr) return;
  request->refused = true;
  request->refusal = effect.status;
}

void SimulatedCluster::handle(effect::Tokens& effect) {
  SimulatedRequest* request = find(effect.connection, effect.client_tag);
  if (request == nullptr) return;
  SimulatedAnswer& answer = request->answers.at(effect.choice);
  if (!request->accepted) problems_.push_back("tokens before the promise");
  if (answer.finishes > 0) problems_.push_back("tokens after the end");
  if (effect.first_index != static_cast<int32_t>(answer.ids.size())) {
    problems_.push_back(
        format_text("tokens from {} after {}", effect.first_index, answer.ids.size()));
  }
  answer.ids.insert(answer.ids.end(), effect.ids.begin(), effect.ids.end());
  answer.text += effect.text;
  for (const TokenId id : effect.ids) note(static_cast<uint64_t>(id));
}

void SimulatedCluster::handle(effect::PromptLogprobs& effect) {
  SimulatedRequest* request = find(effect.connection, effect.client_tag);
  if (request != nullptr) request->prompt_logprobs += static_cast<int32_t>(effect.entries.size());
}

void SimulatedCluster::handle(effect::ProbeValues& effect) {
  SimulatedRequest* request = find(effect.connection, effect.client_tag);
  if (request != nullptr) request->probes.push_back(effect.probe);
}

void SimulatedCluster::handle(effect::Finish& effect) {
  SimulatedRequest* request = find(effect.connection, effect.client_tag);
  if (request == nullptr) return;
  SimulatedAnswer& answer = request->answers.at(effect.choice);
  ++answer.finishes;
  answer.text += effect.text;
  answer.ending = effect;
  request->last_choices += effect.last_choice;
}

void SimulatedCluster::handle(effect::SendPlan& effect) {
  ++plans_sent_;
  Member& member = groups_.at(effect.group);
  StepResult result = member.fake->execute(effect.plan);
  const TimeUs delay =
      1 + static_cast<TimeUs>(random_() % static_cast<uint64_t>(member.max_delay_us));
  member.busy_until_us = std::max(now_us_, member.busy_until_us) + delay;
  for (Probe& probe : member.fake->take_probes()) {
    at(member.busy_until_us + static_cast<TimeUs>(random_() % 50),
       event::ProbeArrived{effect.group, std::move(probe)});
  }
  if (random_() % 8 == 0) at(member.busy_until_us + 5, event::StepDone{effect.group, result});
  at(member.busy_until_us, event::StepDone{effect.group, std::move(result)});
  for (const auto& group : engine_.status().groups) {
    max_in_flight_ = std::max(max_in_flight_, group.plans_in_flight);
  }
}

void SimulatedCluster::handle(effect::Append& effect) {
  at(now_us_ + static_cast<TimeUs>(random_() % 200), event::Durable{effect.sequence});
}

std::vector<std::string> SimulatedCluster::problems() const {
  std::vector<std::string> all = problems_;
  for (const auto& [id, member] : groups_) {
    all.insert(all.end(), member.fake->problems().begin(), member.fake->problems().end());
  }
  return all;
}

}  // namespace trireme
