#include "tests/simulation/simulated_cluster.h"

#include <algorithm>

#include "base/text.h"

namespace trireme {

namespace {

constexpr TimeUs kPatienceUs = 60'000'000;

}  // namespace

SimulatedCluster::SimulatedCluster(EngineOptions options, uint64_t seed)
    : options_(options),
      engine_(std::make_unique<Engine>(options)),
      random_(seed),
      vocabulary_(static_cast<int32_t>(options.vocabulary_size)) {}

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
  member.fake = std::make_unique<FakeGroup>(shape, vocabulary_, &scripts_);
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

// A group that has crashed; lose_group() has forgotten its own.
void SimulatedCluster::forget_group(const event::GroupLost& lost) {
  const auto found = groups_.find(lost.group);
  if (found == groups_.end() || found->second.shape.epoch != lost.epoch) return;
  for (const std::string& text : found->second.fake->problems()) problems_.push_back(text);
  crashed_.push_back(found->second.shape);
  groups_.erase(found);
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

int SimulatedCluster::resume(int number,
                             ConnectionId connection,
                             uint64_t nonce,
                             std::vector<int32_t> next,
                             int64_t credit_bytes,
                             std::vector<AnswerPoint> points) {
  const RequestId id = requests_.at(number).id;
  SimulatedRequest again;
  again.submit = requests_.at(number).submit;
  again.submit.connection = connection;
  again.submit.client_tag = requests_.size();
  again.answers.resize(again.submit.params.num_choices);
  for (size_t choice = 0; choice < std::min(next.size(), again.answers.size()); ++choice) {
    again.answers[choice].first_index = std::max(0, next[choice]);
  }
  const uint64_t tag = again.submit.client_tag;
  requests_.push_back(std::move(again));
  deliver(
      event::Resumed{connection, tag, id, nonce, std::move(next), credit_bytes, std::move(points)});
  return num_requests() - 1;
}

int SimulatedCluster::adopt(const SubmitRequest& submit, const RequestId& id) {
  SimulatedRequest request;
  request.submit = submit;
  request.id = id;
  request.answers.resize(submit.params.num_choices);
  requests_.push_back(std::move(request));
  return num_requests() - 1;
}

void SimulatedCluster::cancel(int number) {
  const SimulatedRequest& request = requests_.at(number);
  if (request.accepted) deliver(event::Cancelled{request.id, request.submit.connection});
}

void SimulatedCluster::disconnect(ConnectionId connection) {
  for (SimulatedRequest& request : requests_) {
    if (request.submit.connection == connection && !request.is_over()) request.is_gone = true;
  }
  deliver(event::Disconnected{connection});
}

void SimulatedCluster::credit(int number, int64_t bytes) {
  const SimulatedRequest& request = requests_.at(number);
  if (request.accepted) deliver(event::Credited{request.submit.connection, request.id, bytes});
}

void SimulatedCluster::note_durable(uint64_t sequence) {
  while (!on_the_way_.empty() && on_the_way_.begin()->first <= sequence) {
    durable_.apply(on_the_way_.begin()->second);
    on_the_way_.erase(on_the_way_.begin());
  }
}

void SimulatedCluster::restart() {
  ++restarts_;
  for (const auto& [id, member] : groups_) {
    for (const std::string& text : member.fake->problems()) problems_.push_back(text);
  }
  groups_.clear();
  queue_ = {};
  on_the_way_.clear();
  for (uint8_t& byte : options_.random_key) byte = static_cast<uint8_t>(random_());
  engine_ = std::make_unique<Engine>(options_);
  deliver(event::Restored{durable_.requests()});
  for (SimulatedRequest& request : requests_) {
    if (!request.is_over() && !request.is_gone) come_back(request);
  }
}

// The client of an unfinished request, on a new connection.
void SimulatedCluster::come_back(SimulatedRequest& request) {
  request.submit.connection += 1000;
  request.submit.nonce = ++nonce_;
  if (!request.accepted) return deliver(event::Submitted{request.submit});
  std::vector<int32_t> next;
  for (const SimulatedAnswer& answer : request.answers) {
    next.push_back(answer.finishes > 0 ? kEndedIndex : static_cast<int32_t>(answer.ids.size()));
  }
  request.probes.clear();  // they are sent again, from the first on
  deliver(event::Resumed{request.submit.connection,
                         request.submit.client_tag,
                         request.id,
                         request.submit.nonce,
                         std::move(next),
                         request.submit.credit_bytes,
                         {}});
}

void SimulatedCluster::deliver(const Event& event) {
  if (const auto* durable = std::get_if<event::Durable>(&event)) note_durable(durable->sequence);
  if (const auto* restored = std::get_if<event::Restored>(&event)) {
    durable_ = RecordImage(restored->requests);
  }
  if (const auto* lost = std::get_if<event::GroupLost>(&event)) forget_group(*lost);
  std::vector<Effect> effects;
  engine_->on(event, now_us_, effects);
  for (Effect& effect : effects) {
    note(effect.index());
    std::visit([this](auto& one) { handle(one); }, effect);
  }
  for (const ConnectionId connection : engine_->take_behind()) {
    at(now_us_, event::Writable{connection});
  }
}

bool SimulatedCluster::run_one() {
  const TimeUs tick = engine_->next_tick_us();
  if (queue_.empty() || (tick != 0 && tick < queue_.top().at_us)) {
    if (tick == 0 || tick > now_us_ + kPatienceUs) return false;
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

void SimulatedCluster::advance(TimeUs time_us) {
  const TimeUs end_us = now_us_ + time_us;
  while (true) {
    const TimeUs tick = engine_->next_tick_us();
    const bool has_entry = !queue_.empty() && queue_.top().at_us <= end_us;
    if (!has_entry && (tick == 0 || tick > end_us)) break;
    if (has_entry && (tick == 0 || queue_.top().at_us <= tick)) {
      Entry entry = queue_.top();
      queue_.pop();
      now_us_ = std::max(now_us_, entry.at_us);
      deliver(entry.event);
    } else {
      now_us_ = std::max(now_us_, tick);
      deliver(event::Tick{});
    }
  }
  now_us_ = end_us;
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
  if (requests_[tag].submit.connection != connection) {
    problems_.push_back(format_text("an effect of tag {} for another connection", tag));
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
  request->prompt_ids = effect.prompt_ids;
  request->client_state = effect.client_state;
}

void SimulatedCluster::handle(effect::Refuse& effect) {
  SimulatedRequest* request = find(effect.connection, effect.client_tag);
  if (request == nullptr) return;
  request->refused = true;
  request->refusal = effect.status;
  request->refusal_nonce = effect.nonce;
}

void SimulatedCluster::handle(effect::Tokens& effect) {
  SimulatedRequest* request = find(effect.connection, effect.client_tag);
  if (request == nullptr) return;
  SimulatedAnswer& answer = request->answers.at(effect.choice);
  if (!request->accepted) problems_.push_back("tokens before the promise");
  if (answer.finishes > 0) problems_.push_back("tokens after the end");
  const int32_t next = answer.first_index + static_cast<int32_t>(answer.ids.size());
  if (effect.first_index != next) {
    problems_.push_back(format_text("tokens from {} after {}", effect.first_index, next));
  }
  answer.ids.insert(answer.ids.end(), effect.ids.begin(), effect.ids.end());
  answer.text += effect.text;
  answer.echo += effect.text.substr(0, static_cast<size_t>(effect.echo_bytes));
  for (const AnswerPart& part : effect.parts) append_part(answer.parts, part);
  answer.logprobs.insert(answer.logprobs.end(), effect.logprobs.begin(), effect.logprobs.end());
  for (TokenBytes& bytes : effect.token_bytes) answer.token_bytes.push_back(std::move(bytes));
  if (!effect.text.empty() && !effect.parts.empty()) problems_.push_back("text beside parts");
  for (const TokenId id : effect.ids) note(static_cast<uint64_t>(id));
  request->pieces.push_back(
      {effect.choice, effect.first_index + static_cast<int32_t>(effect.ids.size())});
}

void SimulatedCluster::handle(effect::Progress& effect) {
  SimulatedRequest* request = find(effect.connection, effect.client_tag);
  if (request == nullptr) return;
  if (request->is_over()) problems_.push_back("progress after the end");
  if (effect.prompt_done > effect.prompt_tokens)
    problems_.push_back("more than the prompt is done");
  request->progress.push_back(effect);
  request->progress_us.push_back(now_us_);
}

void SimulatedCluster::handle(effect::PromptLogprobs& effect) {
  SimulatedRequest* request = find(effect.connection, effect.client_tag);
  if (request == nullptr) return;
  const auto count = static_cast<int32_t>(effect.entries.size());
  request->most_prompt_logprobs = std::max(request->most_prompt_logprobs, count);
  // After a resume they come again from the first on.
  for (const LogprobEntry& entry : effect.entries) {
    if (entry.position > request->prompt_logprobs + 1) problems_.push_back("scores are left out");
    request->prompt_logprobs = std::max(request->prompt_logprobs, entry.position);
  }
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
  for (const AnswerPart& part : effect.parts) append_part(answer.parts, part);
  answer.ending = effect;
  request->pieces.push_back({effect.choice, kEndedIndex});
  request->last_choices += effect.last_choice;
}

bool SimulatedCluster::crashes(const Member& member, const StepPlan& plan) {
  if (poisoned_.empty()) return false;
  steps_.push_back(member.fake->seeds_of(plan));
  return std::ranges::any_of(poisoned_,
                             [&](uint64_t seed) { return steps_.back().contains(seed); });
}

void SimulatedCluster::handle(effect::SendPlan& effect) {
  ++plans_sent_;
  Member& member = groups_.at(effect.group);
  StepResult result = member.fake->execute(effect.plan);
  const TimeUs delay =
      1 + static_cast<TimeUs>(random_() % static_cast<uint64_t>(member.max_delay_us));
  member.busy_until_us = std::max(now_us_, member.busy_until_us) + delay;
  if (crashes(member, effect.plan)) {
    const Status cause = unavailable("TRI-GRP-059", "crashed by the test");
    at(member.busy_until_us,
       event::GroupLost{effect.group, member.shape.epoch, cause, effect.plan.step});
    return;
  }
  for (Probe& probe : member.fake->take_probes()) {
    at(member.busy_until_us + static_cast<TimeUs>(random_() % 50),
       event::ProbeArrived{effect.group, std::move(probe)});
  }
  if (random_() % 8 == 0) at(member.busy_until_us + 5, event::StepDone{effect.group, result});
  at(member.busy_until_us, event::StepDone{effect.group, std::move(result)});
  for (const auto& group : engine_->status().groups) {
    max_in_flight_ = std::max(max_in_flight_, group.plans_in_flight);
  }
}

void SimulatedCluster::handle(effect::Append& effect) {
  if (!effect.record.empty()) {
    on_the_way_.emplace(effect.sequence, effect.record);
    records_.push_back(std::move(effect.record));
  }
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
