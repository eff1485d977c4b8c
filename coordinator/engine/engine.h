// The only writer of request state and the only user of PagePool: on(event, now) -> effects.
// A pure state machine: no clock, thread, socket or file inside; the same events at the same times
// give the same effects. Called by the coordinator's loop thread.
//
// Order within a step: commit ids, which finds end-of-sequence and stop ids; build and send the
// next plan, so that the devices do not wait; then run the detokenizers and look for stop strings.
// Effects that promise something to a client (Accept, Tokens, Finish) are held until the journal
// has reported their record durable.
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
  int32_t max_batched_tokens = 0;  // per step; 0: the limit of the group
  int32_t max_waiting_requests = 4096;
  int64_t max_waiting_bytes = 256ll << 20;
  int64_t max_kept_bytes = 64ll << 20;  // of finished requests with an idempotency key
  std::string cache_salt;               // of the page keys: the model's fingerprint
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

  // Handles one event at `now_us` and appends its effects, in order, to `effects`.
  void on(Event event, TimeUs now_us, std::vector<Effect>& effects);

  // When the next Tick is due, or 0: a deadline, or a stream that was unread for kUnreadUs.
  TimeUs next_tick_us() const;
  EngineStatus status() const;

 private:
  class State;
  std::unique_ptr<State> state_;
};

}  // namespace trireme
