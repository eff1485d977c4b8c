// Simulation of a cluster: the real Engine with fake groups and clients under a fake clock. Every
// event is an entry in one queue ordered by time, so that a run is a function of its seed.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <queue>
#include <random>
#include <string>
#include <vector>

#include "coordinator/engine/engine.h"
#include "tests/simulation/fake_group.h"

namespace trireme {

// One choice of one request, as its client saw it.
struct SimulatedAnswer {
  std::vector<TokenId> ids;
  std::string text;
  int32_t finishes = 0;
  effect::Finish ending;
};

struct SimulatedRequest {
  SubmitRequest submit;
  bool accepted = false;
  bool refused = false;
  Status refusal;
  RequestId id;
  uint64_t seed = 0;
  int32_t prompt_logprobs = 0;
  std::vector<Probe> probes;
  std::vector<SimulatedAnswer> answers;
  int32_t last_choices = 0;  // Finish effects with last_choice
  bool is_over() const { return refused || last_choices > 0; }
};

class SimulatedCluster {
 public:
  SimulatedCluster(EngineOptions options, uint64_t seed);

  // A group with a random delay of up to `max_delay_us` per step.
  void add_group(GroupShape shape, TimeUs max_delay_us = 1000);
  void lose_group(GroupId group);

  // Returns the number of the request; its answers are in request(number).
  int submit(SubmitRequest submit);
  SimulatedRequest& request(int number) { return requests_.at(number); }
  int num_requests() const { return static_cast<int>(requests_.size()); }
  void cancel(int number);
  void disconnect(ConnectionId connection);
  void credit(int number, int64_t bytes);
  void feed(Event event);

  // Runs the earliest entry; false: nothing is left.
  bool run_one();
  // Runs until nothing is left or `steps` entries have run.
  void run(int steps = 1'000'000);

  TimeUs now_us() const { return now_us_; }
  Engine& engine() { return engine_; }
  std::vector<std::string> problems() const;  // of plans and of effects
  uint64_t trace_hash() const { return trace_hash_; }
  int64_t plans_sent() const { return plans_sent_; }
  int32_t max_in_flight() const { return max_in_flight_; }

 private:
  struct Entry {
    TimeUs at_us;
    uint64_t order;
    Event event;
    bool operator<(const Entry& other) const {
      return std::pair(at_us, order) > std::pair(other.at_us, other.order);
    }
  };
  struct Member {
    GroupShape shape;
    std::unique_ptr<FakeGroup> fake;
    TimeUs max_delay_us;
    TimeUs busy_until_us = 0;
  };

  void at(TimeUs at_us, Event event);
  void deliver(const Event& event);
  void handle(effect::Accept& effect);
  void handle(effect::Refuse& effect);
  void handle(effect::Tokens& effect);
  void handle(effect::PromptLogprobs& effect);
  void handle(effect::ProbeValues& effect);
  void handle(effect::Finish& effect);
  void handle(effect::SendPlan& effect);
  void handle(effect::Append& effect);
  SimulatedRequest* find(ConnectionId connection, uint64_t tag);
  void note(uint64_t value);

  Engine engine_;
  std::mt19937_64 random_;
  int32_t vocabulary_;
  TimeUs now_us_ = 1;
  uint64_t order_ = 0;
  std::priority_queue<Entry> queue_;
  std::map<GroupId, Member> groups_;
  std::vector<std::string> problems_;
  std::deque<SimulatedRequest> requests_;
  std::vector<Effect> effects_;
  uint64_t trace_hash_ = 0;
  int64_t plans_sent_ = 0;
  int32_t max_in_flight_ = 0;
};

}  // namespace trireme
