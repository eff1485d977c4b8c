// State of the Engine: request table, groups and queue. Its functions stand in one file per duty:
// engine_requests (submission and end), engine_restore (requests of an earlier coordinator),
// engine_streams (who reads an answer), engine_sending (what its reader gets, and when),
// engine_keys (idempotency keys, answers that are over), engine_groups (gain and loss of groups,
// release of slots and pages), engine_plan (choice of group, plans), engine_commit (results),
// engine_suspects (requests that may crash ranks), engine_values (scores and probes of a prompt),
// engine_text (text and parts), engine_progress (progress, health).
#pragma once

#include <deque>
#include <map>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "coordinator/engine/engine.h"
#include "coordinator/engine/kept_answers.h"
#include "coordinator/engine/random_words.h"
#include "coordinator/engine/scheduling/scheduler.h"
#include "coordinator/engine/sequence.h"
#include "coordinator/engine/undurable.h"
#include "coordinator/engine/waiting_queue.h"

namespace trireme {

// A plan that was sent and whose result has not come.
struct PlanInFlight {
  int64_t step = 0;
  std::vector<Sequence*> named;    // all sequences in the plan, each once
  std::vector<Sequence*> drawing;  // those of them that draw a token
  bool is_alone = false;           // a step of a suspect
};

// The slot and the page of the token that tests an idle group.
struct Canary {
  SlotId slot = -1;
  std::vector<PageId> pages;
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
  bool alone_is_next = false;    // while it has a suspect: the next step is the suspect's
  RequestId next_suspect;        // that waits for this group; zeros: none
  std::optional<Canary> canary;  // the plan in flight is for it alone
  TimeUs token_us = 0;           // the last token that went through all ranks; 0: none yet
  TimeUs moved_us = 0;           // the last result, or the plan since which one is awaited
  int64_t uncomputed = 0;  // known tokens of `running` not yet planned; set by count_waiting()

  explicit Group(const GroupShape& shape);
};

// kRequestBytes are counted per request besides its prompt.
inline constexpr int64_t kRequestBytes = 4096;

// Sent to one connection before the loop has looked whether its socket takes it.
inline constexpr int64_t kReaderBytes = 1 << 20;

// How long a request whose values nobody takes may keep a slot and pages that others wait for. A
// grant of credit takes one round trip; a client that needs longer than this does not read.
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
  EngineHealth health(TimeUs now_us, const std::map<GroupId, TimeUs>& heard_us) const;
  std::vector<ConnectionId> take_behind();
  bool knows_key(const SubmitRequest& submit) const;
  Status may_wait(const SubmitRequest& submit, int64_t pending, int64_t* retry_after_ms) const;

 private:
  struct Turn {  // the event being handled: its time and its effects
    TimeUs now_us;
    std::vector<Effect>& effects;
  };

  // --- engine_requests.cc
  void handle(Turn& turn, event::Submitted& event);
  void handle(Turn& turn, event::Cancelled& event);
  void handle(Turn& turn, event::Tick&);
  Status may_accept(const SubmitRequest& submit, int64_t* retry_after_ms) const;
  Status reserve_room(const RequestId& id,
                      const SubmitRequest& submit,
                      int64_t* retry_after_ms) const;
  Request& accept(const Turn& turn, const RequestId& id, SubmitRequest& submit);
  Request& add_request(const RequestId& id,
                       uint64_t seed,
                       SubmitRequest submit,
                       TimeUs submitted_us,
                       bool is_restored);
  void add_sequences(Request& request, std::vector<TokenId> prompt, bool is_restored);
  void cancel(Turn& turn, Request& request);
  void end_request(const Turn& turn, Request& request, FinishReason reason, const Status& error);
  static void refuse(Turn& turn,
                     const SubmitRequest& submit,
                     Status status,
                     int64_t retry_after_ms);
  static void set_times(const Turn& turn, const Request& request, effect::Finish& details);

  // Ends one choice, as part of this event's record. The sequence keeps slot and pages until no
  // plan in flight names it.
  void finish(const Turn& turn, Sequence& sequence, FinishReason reason, effect::Finish details);
  void end_choice(Sequence& sequence, effect::Finish details, TimeUs ended_us);

  // --- engine_restore.cc
  void handle(Turn& turn, event::Restored& event);
  void restore(const Turn& turn, RestoredRequest& restored);
  void restore_choice(const Turn& turn, Sequence& sequence, RestoredChoice& restored);

  // --- engine_streams.cc
  void handle(Turn& turn, event::Durable& event);
  void handle(Turn& turn, event::JournalFailed& event);
  void handle(Turn& turn, event::Disconnected& event);
  void handle(Turn& turn, event::Blocked& event);
  void handle(Turn& turn, event::Writable& event);
  void handle(Turn& turn, event::Resumed& event);
  void handle(Turn& turn, event::Credited& event);
  // Whether a stream with this nonce may take the answer over; else the reason.
  static Status may_read(const Request& request, uint64_t nonce, TimeUs arrived_us);
  void open_stream(Turn& turn, Request& request, Stream stream, uint64_t nonce);
  void drop_stream(Request& request);
  void note_unread(const Turn& turn, Request& request);
  void await_reader(const Turn& turn, Request& request, TimeUs grace_us);
  void cancel_unread(Turn& turn);

  // --- engine_sending.cc
  void fill(Turn& turn, Request& request);
  void send_accept(Turn& turn, Request& request);
  void send_values(Turn& turn, Request& request, int64_t& room);
  bool send_points(Turn& turn, Request& request, int64_t& room);
  void send_choice(
      Turn& turn, Request& request, const Sequence& sequence, int32_t end, int64_t& room);
  void send_finish(Turn& turn, Request& request, const Sequence& sequence);

  // --- engine_keys.cc
  bool repeat_known(Turn& turn, const SubmitRequest& submit);
  // Keeps a request for its readers when all its choices are over and no plan in flight names it.
  void settle(Request& request);
  void forget(Request& request);
  void forget_excess(Turn& turn);

  // --- engine_progress.cc
  void await_progress(const Turn& turn, Request& request);
  void report_progress(Turn& turn);
  std::string fault_of(const Group& group, TimeUs now_us, TimeUs heard_us) const;
  using Places = std::unordered_map<const Request*, int32_t>;
  Places queue_places() const;
  effect::Progress progress_of(const Request& request, const Places& places) const;

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

  // --- engine_suspects.cc
  void note_crash(const Turn& turn, const Group& group, int64_t step);
  void count_crash(Request& request);
  void set_apart(Request& request);
  Request* suspect_in(Group& group);
  bool may_choose(const Group& group, const Request& request);
  bool can_step_alone(const Group& group, const Request& suspect) const;
  void note_alone_step(const PlanInFlight& plan, size_t num_tokens);
  void clear_suspect(Request& request);

  // --- engine_plan.cc
  // Whose tokens a step may compute: of all requests but suspects, or of `suspect` alone.
  struct StepScope {
    const Request* suspect = nullptr;  // of the group; null: it has none
    bool is_alone = false;
    bool includes(const Request& request) const {
      return is_alone ? &request == suspect : !request.runs_alone;
    }
  };
  void plan_all(Turn& turn);
  bool plan_one(Turn& turn, Group& group);
  bool plan_step(Turn& turn, Group& group, const StepScope& scope);
  void count_running(const Group& group, const StepScope& scope);
  void count_waiting(Group& group, const StepScope& scope);
  bool must_wait_for_sibling(const Sequence& sequence) const;
  bool can_hold(const Group& group, const Sequence& sequence) const;
  bool has_room_to_run(Request& request) const;
  Group* best_group_for(Sequence& sequence);
  int32_t cached_tokens(Group& group, Sequence& sequence);
  PageKey cache_space_of(const Request& request) const;
  const std::vector<PageKey>& keys_of(Sequence& sequence, int32_t page_tokens) const;
  void send_plan(Turn& turn, Group& group);
  StepPlan begin_plan(const Turn& turn, Group& group);
  void admit(const Turn& turn, Group& group, Sequence& sequence, StepPart& part);
  void plan_chunk(
      Group& group, Sequence& sequence, int32_t tokens, StepPart& part, PlanInFlight& plan);
  void plan_decode(Group& group, Sequence& sequence, StepPart& part, PlanInFlight& plan);
  void grant_pages(Group& group, Sequence& sequence, int32_t tokens, StepPart& part);
  void reserve_rows(const Group& group, Sequence& sequence) const;
  void open_slot(Sequence& sequence, StepPart& part);
  void add_scores_and_probes(Sequence& sequence, int32_t begin, int32_t end, StepPart& part);
  bool can_draw(const Sequence& sequence) const;

  // --- engine_canary.cc
  void send_canaries(Turn& turn);
  void send_canary(Turn& turn, Group& group);
  static void end_canary(Group& group);
  static bool can_take_canary(const Group& group);
  TimeUs next_canary_us() const;  // 0: none is to come

  // --- engine_commit.cc
  void handle(Turn& turn, event::StepDone& event);
  void take_logprobs(Group& group, StepResult& result);
  void commit_ids(const Turn& turn, Sequence& sequence, std::span<const TokenId> ids);
  void commit_failures(const Turn& turn, Group& group, const StepResult& result);
  struct Ending {
    bool is_over = false;
    FinishReason reason = FinishReason::kStop;
    std::optional<TokenId> stop_token;
    bool last_id_is_silent = false;  // end-of-sequence and stop ids are in the ids, not the text
  };
  Ending ending_of(const Sequence& sequence) const;

  // --- engine_values.cc
  void handle(Turn& turn, event::ProbeArrived& event);
  void take_scores(Turn& turn, Group& group, StepResult& result);
  void restart_values(Request& request);
  void compute_values_again(Request& request);
  void finish_prompt_only(const Turn& turn, Request& request);

  // --- engine_text.cc
  void emit_text(const Turn& turn, Sequence& sequence);
  bool add_text(Sequence& sequence, TokenId id, bool is_silent);
  void begin_text(Sequence& sequence);
  void record_ids(Sequence& sequence, int32_t first);
  void finish_text(const Turn& turn, Sequence& sequence, bool is_over, const Ending& ending);
  std::vector<TokenBytes> token_bytes_of(const std::vector<LogprobEntry>& entries) const;

  const EngineOptions options_;
  RandomWords random_;
  TimeUs last_event_us_ = 0;
  TimeUs last_token_us_ = 0;

  std::map<RequestId, std::unique_ptr<Request>> requests_;
  KeptAnswers kept_;
  struct Reader {  // a connection with streams
    bool is_blocked = false;
    int64_t room = kReaderBytes;  // that may be sent to it before its next Writable
    std::set<RequestId> requests;
    RequestId last_served;
  };
  std::unordered_map<ConnectionId, Reader> readers_;
  std::set<ConnectionId> behind_;  // with more to send
  std::set<std::pair<TimeUs, RequestId>> deadlines_;
  std::set<std::pair<TimeUs, RequestId>> cancels_;  // requests whose client is gone, by when
  std::set<std::pair<TimeUs, RequestId>> unread_;   // whose values nobody takes, by start of that
  std::set<std::pair<TimeUs, RequestId>> progress_due_;
  int32_t num_suspects_ = 0;  // requests that run alone
  WaitingQueue waiting_;
  int64_t waiting_bytes_ = 0;
  uint64_t next_arrival_ = 1;
  std::map<GroupId, Group> groups_;

  Undurable undurable_;
  EngineStatus totals_;
  std::vector<Sequence*> emitting_;  // sequences that got ids in this commit; their text follows
  PlanScratch scratch_;
};

}  // namespace trireme
