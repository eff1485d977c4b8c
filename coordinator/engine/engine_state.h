// State of the Engine: request table, groups and queue. Its functions stand in one file per duty:
// engine_requests (submission, credit, end), engine_groups (gain and loss of groups, release of
// slots and pages), engine_plan (choice of group, plans), engine_commit (results, text).
#pragma once

#include <deque>
#include <map>
#include <random>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "coordinator/engine/engine.h"
#include "coordinator/engine/kept_answers.h"
#include "coordinator/engine/promises.h"
#include "coordinator/engine/scheduler.h"
#include "coordinator/engine/sequence.h"

namespace trireme {

// A plan that was sent and whose result has not come.
struct PlanInFlight {
  int64_t step = 0;
  std::vector<Sequence*> named;    // all sequences in the plan, each once
  std::vector<Sequence*> drawing;  // those of them that draw a token
};

struct Group {
  GroupShape shape;
  PagePool pool;
  std::vector<Sequence*> running;  // by arrival
  std::vector<Sequence*> slots;    // owner of each slot, or null
  std::vector<SlotId> free_slots;
  std::vector<SlotId> closed;           // released since the last plan; listed in the next one
  std::vector<PlanInFlight> in_flight;  // at most num_stages + 1, the oldest first
  int64_t next_step = 1;
  int32_t next_cohort = 0;
  int64_t uncomputed = 0;  // known tokens of `running` not yet planned; set by count_waiting()

  explicit Group(const GroupShape& shape);
};

// How long a stream without credit may keep a slot and pages that others wait for. A grant takes
// one round trip; a client that needs longer than this does not read.
inline constexpr TimeUs kUnreadUs = 1'000'000;

// Memory of engine_plan.cc, reused from plan to plan.
struct PlanScratch {
  std::vector<RunningCounts> running;
  std::vector<WaitingCounts> waiting;
  std::vector<Sequence*> candidates;  // the waiting sequences behind `waiting`
  SchedulerDecision decision;
};

class Engine::State {
 public:
  explicit State(const EngineOptions& options);

  void on(Event& event, TimeUs now_us, std::vector<Effect>& effects);
  TimeUs next_tick_us() const;
  EngineStatus status() const;

 private:
  struct Turn {  // the event being handled: its time and its effects
    TimeUs now_us;
    std::vector<Effect>& effects;
  };

  // --- engine_requests.cc
  void handle(Turn& turn, event::Submitted& event);
  void handle(Turn& turn, event::Cancelled& event);
  void handle(Turn& turn, event::Disconnected& event);
  void handle(Turn& turn, event::Resumed& event);
  void handle(Turn& turn, event::Credited& event);
  void handle(Turn& turn, event::Tick&);
  void handle(Turn& turn, event::Durable& event);
  Status may_accept(const SubmitRequest& submit, int64_t* retry_after_ms) const;
  bool repeat_known(const Turn& turn, const SubmitRequest& submit);
  Request* accept(const Turn& turn, SubmitRequest& submit);
  void add_sequences(Request& request, std::vector<TokenId> prompt);
  void promise_accept(Request& request, bool repeated);
  void end_stream(Request& request);
  void replay(Request& request);
  void add_credit(const Turn& turn, Request& request, int64_t bytes);
  void end_request(const Turn& turn, Request& request, FinishReason reason, const Status& error);
  static void refuse(Turn& turn,
                     const SubmitRequest& submit,
                     Status status,
                     int64_t retry_after_ms);

  // Ends one choice and promises its Finish. The sequence keeps slot and pages until no plan in
  // flight names it.
  void finish(const Turn& turn, Sequence& sequence, FinishReason reason, effect::Finish details);
  void forget_if_over(Request* request);

  // --- engine_groups.cc
  void handle(Turn& turn, event::GroupReady& event);
  void handle(Turn& turn, event::GroupLost& event);
  void end_too_long(const Turn& turn);
  void clear_placement(Sequence& sequence);
  void queue_again(Sequence& sequence);
  void release(Group& group, Sequence& sequence);
  void release_if_unnamed(Group& group, Sequence& sequence);
  void publish_full_pages(Group& group, Sequence& sequence);
  bool is_crowded(const Group& group) const;
  void preempt_unread(const Turn& turn, Group& group);

  // --- engine_plan.cc
  void plan_all(Turn& turn);
  bool plan_one(Turn& turn, Group& group);
  void count_running(const Group& group);
  void count_waiting(Group& group);
  bool must_wait_for_sibling(const Sequence& sequence) const;
  bool can_hold(const Group& group, const Sequence& sequence) const;
  Group* best_group_for(Sequence& sequence);
  int32_t cached_tokens(Group& group, Sequence& sequence);
  const std::vector<PageKey>& keys_of(Sequence& sequence, int32_t page_tokens) const;
  void send_plan(Turn& turn, Group& group);
  void admit(const Turn& turn, Group& group, Sequence& sequence, StepPart& part);
  void plan_chunk(
      Group& group, Sequence& sequence, int32_t tokens, StepPart& part, PlanInFlight& plan);
  void plan_decode(Group& group, Sequence& sequence, StepPart& part, PlanInFlight& plan);
  void grant_pages(Group& group, Sequence& sequence, int32_t tokens, StepPart& part);
  void reserve_rows(const Group& group, Sequence& sequence) const;
  void open_slot(Sequence& sequence, StepPart& part);
  void add_scores_and_probes(Sequence& sequence, int32_t begin, int32_t end, StepPart& part);
  bool can_draw(const Sequence& sequence) const;

  // --- engine_commit.cc
  void handle(Turn& turn, event::StepDone& event);
  void handle(Turn& turn, event::ProbeArrived& event);
  void take_logprobs(Group& group, StepResult& result);
  void commit_ids(const Turn& turn, Sequence& sequence, std::span<const TokenId> ids);
  void commit_failures(const Turn& turn, Group& group, const StepResult& result);
  void promise_scores(const Turn& turn, Group& group, StepResult& result);
  void finish_prompt_only(const Turn& turn, Request& request);
  void emit_text(const Turn& turn, Sequence& sequence);
  std::string text_of(Sequence& sequence,
                      int32_t index,
                      bool may_stop,
                      StopText::Found& found) const;
  void promise_tokens(const Turn& turn, Sequence& sequence, int32_t first, std::string text);
  struct Ending {
    bool is_over = false;
    FinishReason reason = FinishReason::kStop;
    std::optional<TokenId> stop_token;
    bool last_id_is_silent = false;  // end-of-sequence and stop ids are in the ids, not the text
  };
  Ending ending_of(const Sequence& sequence) const;

  const EngineOptions options_;
  std::mt19937_64 random_;
  TimeUs last_event_us_ = 0;

  std::map<RequestId, std::unique_ptr<Request>> requests_;
  KeptAnswers kept_;
  std::set<std::pair<TimeUs, RequestId>> deadlines_;
  std::set<std::pair<TimeUs, RequestId>> unread_;  // requests without credit, by start of that
  std::deque<Sequence*> waiting_;                  // by arrival
  int64_t waiting_bytes_ = 0;
  uint64_t next_arrival_ = 1;
  std::map<GroupId, Group> groups_;

  Promises promises_;
  EngineStatus totals_;
  std::vector<Sequence*> emitting_;  // sequences that got ids in this commit; their text follows
  PlanScratch scratch_;
};

}  // namespace trireme
