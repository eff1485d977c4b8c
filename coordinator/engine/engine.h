// The only writer of request state and the only user of PagePool: on(event, now) -> effects.
// A pure state machine: no clock, thread, socket or file inside; the same events at the same times
// give the same effects. Called by the coordinator's loop thread.
//
// Order within a step: commit ids, which finds end-of-sequence and stop ids; build and send the
// next plan, so that the devices do not wait; then run the detokenizers and look for stop strings.
// Clients are told only what is durable: each event appends at most one record, and what may be
// sent follows after Durable. A stream is a cursor into an answer: what lies between the cursor and
// the last durable id leaves as the stream's credit and its connection allow, and an unread stream
// holds nothing up.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <vector>

#include "coordinator/engine/events.h"
#include "coordinator/engine/journal.h"
#include "coordinator/engine/random_words.h"
#include "model/planner.h"

namespace trireme {

class Tokenizer;

struct EngineOptions {
  uint64_t coordinator_epoch = 1;
  RandomKey random_key{};  // for request ids and server-drawn seeds
  int64_t vocabulary_size = 0;
  std::vector<TokenId> eos_ids;
  const Tokenizer* tokenizer = nullptr;  // null: ids only, text is empty
  bool prefix_caching = true;
  int32_t max_slots = kDefaultMaxSlots;
  int32_t max_batched_tokens = 0;  // per step; 0: the limit of the group
  int32_t max_waiting_requests = 4096;
  int64_t max_waiting_bytes = 256ll << 20;
  int64_t max_kept_bytes = 64ll << 20;  // of answers that are over
  TimeUs answer_ttl_us = 600'000'000;   // they are kept so long for whoever resumes them
  bool journals = false;                // records have entries
  TimeUs canary_us = 0;        // an idle group is tested so often by a token of its own; 0: never
  Journal* journal = nullptr;  // asked for room; null: there always is
  std::string cache_salt;      // of the page keys: the model's fingerprint
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

// Whether a token can be had now, judged by the progress of steps.
struct EngineHealth {
  std::string reason;  // why not; "": healthy
  int64_t waiting = 0;
  int64_t token_age_ms = 0;  // since a token went through all ranks of a group; 0: none yet
};

class Engine {
 public:
  explicit Engine(const EngineOptions& options);
  ~Engine();

  // Handles one event at `now_us` and appends its effects, in order, to `effects`.
  void on(Event event, TimeUs now_us, std::vector<Effect>& effects);

  // Before the prompt of a Submit is tokenized. Whether its idempotency key names a request whose
  // answer it gets; then it may come as an event without a prompt.
  bool knows_key(const SubmitRequest& submit) const;
  // Whether it may wait behind `pending` others that are on their way here. TRI-REQ-030.
  Status may_wait(const SubmitRequest& submit, int64_t pending, int64_t* retry_after_ms) const;

  // Connections with more to send than one event does. The loop flushes what there is and then
  // answers each with Writable, or with Blocked if its frames are still on their way.
  std::vector<ConnectionId> take_behind();

  // When the next Tick is due, or 0: a deadline, the end of a time to live or of a disconnection's
  // grace, values that were unread for kUnreadUs, a stream to which nothing was sent for its
  // progress interval, the test of an idle group.
  TimeUs next_tick_us() const;
  EngineStatus status() const;
  // `heard_us`: when the ranks of a group last told of progress within the running step.
  EngineHealth health(TimeUs now_us, const std::map<GroupId, TimeUs>& heard_us = {}) const;

 private:
  class State;
  std::unique_ptr<State> state_;
};

}  // namespace trireme
