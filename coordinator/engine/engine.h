// The only writer of request state and the only user of PagePool: on(event, now) -> effects.
// A pure state machine: no clock, thread, socket or file inside; the same events at the same times
// give the same effects. Called by the coordinator's loop thread.
//
// Order of a step (docs/architecture.md, "The engine's step"): commit counts, end-of-sequence and
// stop ids first, cut and send the next plan, then run the detokenizers. What promises something to
// a client (Accept, Tokens, Finish) is held until the journal has said Durable for the record
// before it.
#pragma once

#include <memory>
#include <vector>

#include "coordinator/engine/events.h"
#include "model/planner.h"

namespace trireme {

class Tokenizer;

struct EngineOptions {
  uint64_t coordinator_epoch = 1;
  uint64_t random_seed = 0;  // for request ids and server-drawn seeds
  int64_t vocabulary_size = 0;
  std::vector<TokenId> eos_ids;
  const Tokenizer* tokenizer = nullptr;  // null: ids only, text is empty
  bool prefix_caching = true;
  int32_t max_slots = kDefaultMaxSlots;
  int32_t max_batched_tokens = 0;  // of a step; 0: as many as the group takes
  int32_t max_waiting_requests = 4096;
  int64_t max_waiting_bytes = 256ll << 20;
  int64_t max_kept_bytes = 64ll << 20;  // of requests with a key that are over
  std::string cache_salt;  // model version, adapter and principal salt go into page keys
};

// Counts for status, top and tests.
struct EngineStatus {
  int64_t waiting = 0;
  int64_t running = 0;
  int64_t finished = 0;
  int64_t preemptions = 0;
  int64_t prompt_tokens = 0;
  int64_t cached_tokens = 0;
  int64_t output_tokens = 0;
  struct Group {
    GroupId group = 0;
    uint64_t epoch = 0;
    int32_t pages = 0;
    int32_t pages_held = 0;
    int32_t pages_cached = 0;
    int32_t slots_used = 0;
    int64_t steps = 0;
    int32_t plans_in_flight = 0;
  };
  std::vector<Group> groups;
};

class Engine {
 public:
  explicit Engine(const EngineOptions& options);
  ~Engine();

  // Handles one event at `now_us` and appends what is to be done, in order, to `effects`.
  void on(Event event, TimeUs now_us, std::vector<Effect>& effects);

  // The next time a Tick is due (a deadline), or 0.
  TimeUs next_tick_us() const;
  EngineStatus status() const;

 private:
  class State;
  std::unique_ptr<State> state_;
};

}  // namespace trireme
