// The client door. Frames come in and leave as events for the Engine and jobs for the tokenizer
// pool; the Engine's effects and the pool's results come in and leave as frames. Pure logic in the
// loop's thread: no socket, clock or thread. A malformed frame is answered with an Error; after
// max_bad_frames of them the door ignores the connection. Other connections are not affected.
// Invariant: every Submit is answered by Accepted and one Finished per choice, or by one Error (by
// Finished alone if cancelled before the Engine has it); every question by its result or one Error.
// front_door.cc has the connections, front_door_requests.cc what clients ask, front_door_answers.cc
// what they get.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/clock.h"
#include "base/status.h"
#include "coordinator/doors/clients/admission.h"
#include "coordinator/doors/clients/client_outbox.h"
#include "coordinator/doors/clients/public_id.h"
#include "coordinator/doors/clients/tokenizer_job.h"
#include "coordinator/doors/peer.h"
#include "coordinator/engine/events.h"
#include "proto/client_codec.h"

namespace trireme {

// Questions to the Engine about a Submit whose prompt is not tokenized yet. An absent one counts as
// no and as ok.
struct EarlyChecks {
  // Whether its idempotency key names a request whose answer it gets: it is never refused.
  std::function<bool(const SubmitRequest&)> knows_key;
  // Whether it may wait in the queue behind `pending` others that are being tokenized; else why
  // not, and when to submit it again.
  std::function<Status(const SubmitRequest&, int64_t pending, int64_t* retry_after_ms)> may_wait;
};

struct FrontDoorOptions {
  std::string server;  // name and version, for Welcome
  door::ModelInfo model;
  AdmissionRules rules;
  PublicIdKey public_id_key{};
  int32_t max_connections = 4096;
  int32_t max_in_flight = 4096;            // requests per connection
  int64_t max_waiting_bytes = 64ll << 20;  // per connection, see ClientOutbox
  int32_t max_bad_frames = 100;            // per connection; then it is ignored
  TimeUs max_parked_us = 60'000'000;       // a connection that takes no frame for longer is dropped
  EarlyChecks early;
};

struct PingQuestion {
  PeerId peer = 0;
  uint64_t nonce = 0;
};

// Results of calls, in order; the loop empties it.
struct DoorOutput {
  std::vector<Event> events;
  std::vector<TokenizerJob> jobs;
  std::vector<uint64_t> dropped_jobs;    // nobody waits for them any more
  std::vector<PeerId> status_questions;  // the loop calls answer_status() for each
  std::vector<PingQuestion> pings;       // the loop calls answer_ping() for each
};

// An Error that was sent to a client, for the log.
struct Refusal {
  PeerId peer = 0;
  uint64_t tag = 0;  // 0: of no request
  std::string error_id;
};

class FrontDoor {
 public:
  // `sender` outlives the door.
  FrontDoor(const FrontDoorOptions& options, PeerSender* sender);
  ~FrontDoor();

  void on_frame(PeerId peer, std::string_view frame, TimeUs now_us, DoorOutput& output);
  void on_gone(PeerId peer, DoorOutput& output);
  void on_tokenized(TokenizerResult result, DoorOutput& output);
  // The pool refused the job: its queue is full.
  void on_tokenizer_full(uint64_t job);

  // The effects that are addressed to clients.
  void on_effect(const effect::Accept& effect, DoorOutput& output);
  void on_effect(const effect::Refuse& effect);
  void on_effect(effect::Tokens effect);
  void on_effect(const effect::Progress& effect);
  void on_effect(effect::PromptLogprobs effect);
  void on_effect(effect::ProbeValues effect);
  void on_effect(effect::Finish effect);
  void answer_status(PeerId peer, const door::StatusReply& reply);
  void answer_ping(PeerId peer, const door::Pong& pong);

  // Number of ready groups and the smallest maximum length among them. Without a ready group the
  // last known length stays.
  void set_groups(int32_t ready_groups, int32_t max_model_len);
  void drain();  // refuses new requests from here on

  // Sends the messages of this turn and parked frames. Connections that have ended, are overfull or
  // take nothing become event::Disconnected; those whose frames are parked event::Blocked, and
  // event::Writable when they have left.
  void flush(TimeUs now_us, DoorOutput& output);

  // Refuses the requests whose deadline has passed while their prompt waited for the pool; due at
  // next_tick_us(), 0: never.
  void tick(TimeUs now_us, DoorOutput& output);
  TimeUs next_tick_us() const { return job_deadlines_.empty() ? 0 : job_deadlines_.begin()->first; }

  // The Errors since the last call.
  std::vector<Refusal> take_refusals();

  const std::string& server() const { return options_.server; }
  const door::ModelInfo& model() const { return options_.model; }
  int32_t num_connections() const { return static_cast<int32_t>(connections_.size()); }
  bool has_parked() const { return has_parked_; }
  bool is_parked(PeerId peer) const;
  bool has_streams() const;  // a request is not over, or bytes wait for a client

 private:
  static constexpr int32_t kMaxQuestions = 64;  // per connection, at once
  static constexpr int64_t kMaxQuestionBytes = 32ll << 20;
  static constexpr int64_t kRetryAfterMs = 200;  // after a queue of the coordinator was full

  struct Request {  // of one connection, from Submit to its end
    bool accepted = false;
    RequestId id;
    bool cancel_wanted = false;
    uint64_t job = 0;           // in the tokenizer pool; 0: none
    int64_t granted_early = 0;  // credit that came before Accepted
  };
  struct Connection {
    explicit Connection(ClientOutbox box) : outbox(std::move(box)) {}
    bool greeted = false;
    bool deaf = false;
    bool touched = false;  // is in touched_
    bool blocked = false;  // the Engine was told that frames are parked
    int32_t bad_frames = 0;
    int32_t questions = 0;  // Tokenize and Detokenize without an answer
    int64_t question_bytes = 0;
    std::unordered_map<uint64_t, Request> requests;  // by tag
    ClientOutbox outbox;
  };
  struct Purpose {                        // of a job
    std::optional<SubmitRequest> submit;  // nothing: a Tokenize or Detokenize
    bool is_chat = false;
    bool is_detokenize = false;
    int64_t question_bytes = 0;
    bool is_known = false;  // its key was: it was not refused before
  };
  struct PendingJob {
    PeerId peer = 0;
    uint64_t tag = 0;
    Purpose purpose;
  };
  struct Call {  // the frame being handled
    PeerId peer;
    Connection& connection;
    TimeUs now_us;
    DoorOutput& output;
  };

  void handle(Call& call, const door::Hello& hello);
  void handle(Call& call, door::Submit message);
  void handle(Call& call, const door::Cancel& message);
  void handle(Call& call, door::Resume message);
  void handle(Call& call, door::Credit message);
  void handle(Call& call, door::Ping message);
  void handle(Call& call, door::Tokenize message);
  void handle(Call& call, door::Detokenize message);
  void handle(Call& call, door::ListModels message);
  void handle(Call& call, door::StatusRequest message);

  Connection* find_or_welcome(PeerId peer);
  Connection* find(PeerId peer);  // also marks it for the next flush()
  Request* find(PeerId peer, uint64_t tag, Connection** connection = nullptr);
  Status may_open(const Connection& connection, uint64_t tag) const;
  Status may_begin() const;
  std::string share_of(const door::Submit& submit, PeerId peer) const;
  // False: refused with an Error. `begins`: new work, which a draining cluster does not take.
  bool open(Call& call, uint64_t tag, bool begins);
  bool refuses_early(Call& call, uint64_t tag, const SubmitRequest& request);
  void queue(Call& call, uint64_t tag, TokenizerJob job, Purpose purpose);
  void answer_question(Connection& connection, const PendingJob& pending, TokenizerResult result);
  std::optional<PendingJob> take_job(uint64_t job);
  void refuse_job(uint64_t job, const Status& status, int64_t retry_after_ms);
  void forget_job(uint64_t job, DoorOutput& output);
  void refuse(Connection& connection,
              uint64_t tag,
              const Status& status,
              int64_t retry_after_ms = 0);
  void send_error(Connection& connection, const door::Error& error);
  void refuse_ungreeted(Connection& connection);
  void bad_frame(Connection& connection, const Status& status);
  void cancel_job(Call& call, uint64_t tag, uint64_t job);
  void ask(Call& call, uint64_t tag, TokenizerJob job, bool is_detokenize);
  void drop(PeerId peer, DoorOutput& output);

  FrontDoorOptions options_;
  PeerSender* const sender_;
  ClientCodec codec_;
  std::unordered_map<PeerId, Connection> connections_;
  std::unordered_map<uint64_t, PendingJob> pending_jobs_;  // by number
  int64_t pending_submits_ = 0;                            // of those
  std::set<std::pair<TimeUs, uint64_t>> job_deadlines_;    // of those that have one
  std::vector<PeerId> touched_;                            // connections for the next flush()
  std::vector<Refusal> refusals_;
  uint64_t next_job_ = 1;
  bool draining_ = false;
  bool has_parked_ = false;
};

}  // namespace trireme
