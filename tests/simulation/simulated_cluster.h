// Simulation of a cluster: the real Engine with fake groups and clients under a fake clock. Every
// event is an entry in one queue ordered by time, so that a run is a function of its seed.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <queue>
#include <random>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "coordinator/engine/answer_text.h"
#include "coordinator/engine/engine.h"
#include "tests/simulation/fake_group.h"
#include "tests/simulation/record_image.h"

namespace trireme {

// One choice of one request, as its client saw it.
struct SimulatedAnswer {
  std::vector<TokenId> ids;
  std::string text;
  std::string echo;               // the beginning of text that is the prompt's
  std::vector<AnswerPart> parts;  // joined
  std::vector<LogprobEntry> logprobs;
  std::vector<TokenBytes> token_bytes;
  int32_t first_index = 0;  // of `ids` in the answer
  int32_t finishes = 0;
  effect::Finish ending;
};

struct SimulatedRequest {
  SubmitRequest submit;
  bool accepted = false;
  bool refused = false;
  Status refusal;
  uint64_t refusal_nonce = 0;
  RequestId id;
  uint64_t seed = 0;
  std::vector<TokenId> prompt_ids;
  std::string client_state;
  std::vector<AnswerPoint> pieces;  // where each ends, and the ends of choices, as they came
  std::vector<effect::Progress> progress;
  std::vector<TimeUs> progress_us;
  int32_t prompt_logprobs = 0;
  int32_t most_prompt_logprobs = 0;  // in one effect
  std::vector<Probe> probes;
  std::vector<SimulatedAnswer> answers;
  int32_t last_choices = 0;  // Finish effects with last_choice
  bool is_over() const { return refused || last_choices > 0; }
  bool is_gone = false;  // its client has disconnected and does not come back
};

class SimulatedCluster {
 public:
  SimulatedCluster(EngineOptions options, uint64_t seed);

  // A group with a random delay of up to `max_delay_us` per step.
  void add_group(GroupShape shape, TimeUs max_delay_us = 1000);
  void lose_group(GroupId group);

  // A rank crashes in every step that computes a request of this seed.
  void poison(uint64_t seed) { poisoned_.insert(seed); }
  // The groups that were lost by that since the last call.
  std::vector<GroupShape> take_crashed() { return std::exchange(crashed_, {}); }
  // The seeds of the requests of every step that was sent, since the first call of poison().
  const std::vector<std::set<uint64_t>>& steps() const { return steps_; }

  // The answers to requests of this seed begin with `ids`.
  void script(uint64_t seed, std::vector<TokenId> ids) { scripts_[seed] = std::move(ids); }

  // The coordinator ends with its groups, and another one begins with what was durable. Clients
  // resume what was accepted and submit the rest again.
  void restart();

  // Returns the number of the request; its answers are in request(number).
  int submit(SubmitRequest submit);
  SimulatedRequest& request(int number) { return requests_.at(number); }
  int num_requests() const { return static_cast<int>(requests_.size()); }
  // Asks for the answer of request `number` on another connection; returns the number under which
  // it comes. Text and tokens there begin where `next` says.
  int resume(int number,
             ConnectionId connection,
             uint64_t nonce,
             std::vector<int32_t> next,
             int64_t credit_bytes,
             std::vector<AnswerPoint> points = {});
  // A request that another cluster has accepted; returns its number.
  int adopt(const SubmitRequest& submit, const RequestId& id);
  void cancel(int number);
  void disconnect(ConnectionId connection);
  void credit(int number, int64_t bytes);
  void feed(Event event);

  // Runs the earliest entry; false: nothing is left, the times to live of answers excepted.
  bool run_one();
  // Runs what is due within the next `time_us`.
  void advance(TimeUs time_us);
  // Runs until nothing is left or `steps` entries have run.
  void run(int steps = 1'000'000);

  TimeUs now_us() const { return now_us_; }
  Engine& engine() { return *engine_; }
  std::vector<std::string> problems() const;  // of plans and of effects
  uint64_t trace_hash() const { return trace_hash_; }
  const std::vector<Record>& records() const { return records_; }
  int64_t restarts() const { return restarts_; }
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
  void forget_group(const event::GroupLost& lost);
  bool crashes(const Member& member, const StepPlan& plan);
  void note_durable(uint64_t sequence);
  void come_back(SimulatedRequest& request);
  void handle(effect::Accept& effect);
  void handle(effect::Refuse& effect);
  void handle(effect::Tokens& effect);
  void handle(effect::Progress& effect);
  void handle(effect::PromptLogprobs& effect);
  void handle(effect::ProbeValues& effect);
  void handle(effect::Finish& effect);
  void handle(effect::SendPlan& effect);
  void handle(effect::Append& effect);
  SimulatedRequest* find(ConnectionId connection, uint64_t tag);
  void note(uint64_t value);

  EngineOptions options_;
  std::unique_ptr<Engine> engine_;
  std::mt19937_64 random_;
  int32_t vocabulary_;
  TimeUs now_us_ = 1;
  uint64_t order_ = 0;
  std::priority_queue<Entry> queue_;
  AnswerScripts scripts_;
  std::map<GroupId, Member> groups_;
  std::set<uint64_t> poisoned_;
  std::vector<GroupShape> crashed_;
  std::vector<std::set<uint64_t>> steps_;
  std::vector<std::string> problems_;
  std::deque<SimulatedRequest> requests_;
  std::vector<Record> records_;  // where the Engine gives them
  RecordImage durable_;          // those that are durable
  std::map<uint64_t, Record> on_the_way_;
  uint64_t nonce_ = 0;
  int64_t restarts_ = 0;
  uint64_t trace_hash_ = 0;
  int64_t plans_sent_ = 0;
  int32_t max_in_flight_ = 0;
};

}  // namespace trireme
