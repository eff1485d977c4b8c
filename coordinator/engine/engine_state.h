// The Engine's inside: request table, groups, and the duties of a step, one .cc file each
// (engine_requests: submit, end, answers; engine_plan: admission and plans; engine_commit:
// results).
#pragma once

#include <deque>
#include <map>
#include <random>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "coordinator/engine/engine.h"
#include "coordinator/engine/scheduler.h"
#include "coordinator/engine/sequence.h"

namespace trireme {

// A plan that was sent and has no result yet.
struct PlanInFlight {
  int64_t step = 0;
  std::vector<Sequence*> named;  // each once
  std::vector<Sequence*> drawing;
};

struct Group {
  GroupShape shape;
  PagePool pool;
  std::vector<Sequence*> running;  // by arrival
  std::vector<Sequence*> slots;    // owner of each slot, or null
  std::vector<SlotId> free_slots;
  std::vector<SlotId> closed;           // to be told in the next plan
  std::vector<PlanInFlight> in_flight;  // at most stages + 1, the oldest first
  int64_t next_step = 1;
  int32_t next_cohort = 0;
  int64_t uncomputed = 0;  // prompt tokens of `running`, when the queue was last looked at

  explicit Group(const GroupShape& shape);
};

// For how long a stream without credit keeps slot and pages that others wait for. A grant takes a
// round trip; a client that needs longer does not read.
inline constexpr TimeUs kUnreadUs = 1'000'000;

class Engine::State {
 public:
  explicit State(const EngineOptions& options);

  void on(Event& event, TimeUs now_us, std::vector<Effect>& effects);
  TimeUs next_tick_us() const;
  EngineStatus status() const;

 private:
  // --- engine_requests.cc
  void handle(event::Submitted& event);
  void handle(event::Cancelled& event);
  void handle(event::Disconnected& event);
  void handle(event::Resumed& event);
  void handle(event::Credited& event);
  void handle(event::Tick&);
  void handle(event::Durable& event);
  Status may_accept(const SubmitRequest& submit, int64_t* retry_after_ms) const;
  bool repeat_known(const SubmitRequest& submit);
  Request* accept(SubmitRequest& submit);
  void add_sequences(Request& request, std::vector<TokenId> prompt);
  void say_accepted(Request& request, bool repeated);
  void end_stream(Request& request);
  void replay(Request& request);
  void add_credit(Request& request, int64_t bytes);
  void end_request(Request& request, FinishReason reason, const Status& error);
  void refuse(const SubmitRequest& submit, Status status, int64_t retry_after_ms);

  // Ends one answer and says so. The sequence keeps slot and pages until no plan names it.
  void finish(Sequence& sequence, FinishReason reason, effect::Finish details);
  void forget_if_over(Request* request);
  void forget_oldest_kept();

  // --- engine_groups.cc
  void handle(event::GroupReady& event);
  void handle(event::GroupLost& event);
  void end_too_long();
  void take_back(Sequence& sequence);
  void queue_again(Sequence& sequence);
  void release(Group& group, Sequence& sequence);
  void release_if_unnamed(Group& group, Sequence& sequence);
  void publish_full_pages(Group& group, Sequence& sequence);
  bool is_crowded(const Group& group) const;
  void make_way(Group& group);

  // --- engine_plan.cc
  void plan_all();
  bool plan_one(Group& group);
  void count_running(const Group& group);
  void count_waiting(Group& group);
  bool may_wait_for_sibling(const Sequence& sequence) const;
  bool can_hold(const Group& group, const Sequence& sequence) const;
  Group* best_group_for(Sequence& sequence);
  int32_t cached_tokens(Group& group, Sequence& sequence);
  const std::vector<PageKey>& keys_of(Sequence& sequence, int32_t page_tokens) const;
  void send_plan(Group& group, const SchedulerDecision& decision);
  void admit(Group& group, Sequence& sequence, StepPart& part);
  void plan_chunk(
      Group& group, Sequence& sequence, int32_t tokens, StepPart& part, PlanInFlight& plan);
  void plan_decode(Group& group, Sequence& sequence, StepPart& part, PlanInFlight& plan);
  void grant_pages(Group& group, Sequence& sequence, int32_t tokens, StepPart& part);
  void reserve_rows(const Group& group, Sequence& sequence) const;
  void open_slot(Sequence& sequence, StepPart& part);
  void add_scores_and_probes(Sequence& sequence, int32_t begin, int32_t end, StepPart& part);
  bool can_draw(const Sequence& sequence) const;

  // --- engine_commit.cc
  void handle(event::StepDone& event);
  void handle(event::ProbeArrived& event);
  void take_logprobs(Group& group, StepResult& result);
  void commit_ids(Sequence& sequence, std::span<const TokenId> ids);
  void commit_failures(Group& group, const StepResult& result);
  void say_scores(Group& group, StepResult& result);
  void finish_prompt_only(Request& request);
  void speak(Sequence& sequence);
  void say_tokens(Sequence& sequence, int32_t first, std::string text);
  struct Ending {
    bool is_over = false;
    FinishReason reason = FinishReason::kStop;
    std::optional<TokenId> stop_token;
    bool last_id_is_silent = false;  // EOS and stop ids are in token_ids, not in the text
  };
  Ending ending_of(const Sequence& sequence) const;

  // What the client may hear only when the journal holds it.
  void promise(Effect effect) { promises_.push_back(std::move(effect)); }
  void journal_promises();

  const EngineOptions options_;
  std::mt19937_64 random_;
  TimeUs now_us_ = 0;
  std::vector<Effect>* effects_ = nullptr;  // of the event being handled

  std::map<RequestId, std::unique_ptr<Request>> requests_;
  std::map<std::pair<std::string, std::string>, RequestId> keys_;  // (principal, idempotency key)
  std::deque<RequestId> kept_;  // keyed requests that are over, the oldest first
  int64_t kept_bytes_ = 0;      // of them, bounded
  std::set<std::pair<TimeUs, RequestId>> deadlines_;
  std::set<std::pair<TimeUs, RequestId>> unread_;  // requests without credit, and since when
  std::deque<Sequence*> waiting_;                  // by arrival
  int64_t waiting_bytes_ = 0;
  uint64_t next_arrival_ = 1;
  std::map<GroupId, Group> groups_;

  uint64_t sequence_ = 0;  // of the journal
  std::vector<Effect> promises_;
  std::vector<std::pair<uint64_t, std::vector<Effect>>> undurable_;  // the oldest first

  EngineStatus totals_;
  std::vector<Sequence*> spoken_;  // sequences with new ids in this commit, or ended by it
  std::vector<RunningCounts> running_counts_;
  std::vector<WaitingCounts> waiting_counts_;
  std::vector<Sequence*> candidates_;  // the waiting sequences behind waiting_counts_
  SchedulerDecision decision_;
};

}  // namespace trireme
