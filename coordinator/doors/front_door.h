// The clients' door: frames in, events and prompts to tokenise out; effects in, frames out.
// Pure logic in the loop's thread: no socket, no clock, no thread. A frame that does not parse
// harms its sender alone: it gets an Error with an id, and after too many the door is deaf to it.
// Invariant: every Submit is answered: Accepted and one Finished per choice, or one Error.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/clock.h"
#include "base/status.h"
#include "coordinator/doors/admission.h"
#include "coordinator/doors/client_outbox.h"
#include "coordinator/doors/peer.h"
#include "coordinator/engine/events.h"
#include "proto/client_codec.h"

namespace trireme {

struct FrontDoorOptions {
  std::string server;  // name and version, for Welcome
  door::ModelInfo model;
  AdmissionRules rules;
  int32_t max_connections = 4096;
  int32_t max_in_flight = 4096;            // requests of one connection
  int64_t max_waiting_bytes = 64ll << 20;  // for one connection, see ClientOutbox
  int32_t max_bad_frames = 100;            // of one connection, then the door is deaf to it
  TimeUs max_parked_us = 60'000'000;       // of a connection that takes nothing
};

// A text prompt for the tokenizer pool; the answer comes back with its number.
struct TokenizeJob {
  uint64_t number = 0;
  std::string text;
  bool add_special = true;
};

// What a call leads to, in order.
struct DoorOutput {
  std::vector<Event> events;
  std::vector<TokenizeJob> jobs;
  std::vector<PeerId> status_questions;  // to be answered with answer_status()
};

class FrontDoor {
 public:
  // `sender` outlives the door.
  FrontDoor(const FrontDoorOptions& options, PeerSender* sender);
  ~FrontDoor();

  void on_frame(PeerId peer, std::string_view frame, TimeUs now_us, DoorOutput& output);
  void on_gone(PeerId peer, DoorOutput& output);
  void on_tokenized(uint64_t job, StatusOr<std::vector<TokenId>> ids, DoorOutput& output);
  // The pool took no more jobs.
  void on_tokenizer_full(uint64_t job);

  // The Engine's effects that speak to clients.
  void on_effect(effect::Accept effect, DoorOutput& output);
  void on_effect(const effect::Refuse& effect);
  void on_effect(effect::Tokens effect);
  void on_effect(effect::PromptLogprobs effect);
  void on_effect(effect::ProbeValues effect);
  void on_effect(effect::Finish effect);
  void answer_status(PeerId peer, const door::StatusReply& reply);

  // What the ready groups allow; 0 groups: the model's own length.
  void set_groups(int32_t ready_groups, int32_t max_model_len);
  void drain() { draining_ = true; }

  // Sends what this turn gathered and what was parked. Connections found dead become events.
  void flush(TimeUs now_us, DoorOutput& output);

  const std::string& server() const { return options_.server; }
  const door::ModelInfo& model() const { return options_.model; }
  int32_t num_connections() const { return static_cast<int32_t>(connections_.size()); }
  bool has_parked() const { return has_parked_; }
  bool has_streams() const;  // a request is not over

 private:
  struct Request {  // of one connection, from Submit to its end
    bool accepted = false;
    RequestId id;
    bool cancel_wanted = false;
    uint64_t job = 0;           // being tokenised; 0: not
    int64_t granted_early = 0;  // credit that came before Accepted
  };
  struct Connection {
    explicit Connection(ClientOutbox box) : outbox(std::move(box)) {}
    bool greeted = false;
    bool deaf = false;
    bool touched = false;  // stands in touched_
    int32_t bad_frames = 0;
    std::unordered_map<uint64_t, Request> requests;  // by tag
    ClientOutbox outbox;
  };
  struct PendingPrompt {
    PeerId peer = 0;
    SubmitRequest request;
  };
  struct Call {  // one frame's way through the door
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
  void handle(Call& call, door::ListModels message);
  void handle(Call& call, door::StatusRequest message);

  Connection* find_or_welcome(PeerId peer);
  Connection* find(PeerId peer);  // the next flush() looks at it
  Request* find(PeerId peer, uint64_t tag, Connection** connection = nullptr);
  Status may_open(const Connection& connection, uint64_t tag) const;
  void refuse(Connection& connection,
              uint64_t tag,
              const Status& status,
              int64_t retry_after_ms = 0);
  void bad_frame(Connection& connection, const Status& status);
  void finish_cancelled(Connection& connection, uint64_t tag);
  void drop(PeerId peer, DoorOutput& output);

  FrontDoorOptions options_;
  PeerSender* const sender_;
  ClientCodec codec_;
  std::unordered_map<PeerId, Connection> connections_;
  std::unordered_map<uint64_t, PendingPrompt> pending_prompts_;  // by job
  std::vector<PeerId> touched_;  // connections that flush() has to look at
  uint64_t next_job_ = 1;
  bool draining_ = false;
  bool has_parked_ = false;
};

}  // namespace trireme
