#include "coordinator/doors/front_door.h"

#include <algorithm>
#include <utility>

#include "coordinator/doors/answer_messages.h"
#include "proto/credit.h"
#include "proto/frame.h"

namespace trireme {
namespace {

constexpr int64_t kRetryAfterMs = 200;  // after a queue of the coordinator was full

}  // namespace

FrontDoor::FrontDoor(const FrontDoorOptions& options, PeerSender* sender)
    : options_(options), sender_(sender) {}
FrontDoor::~FrontDoor() = default;

void FrontDoor::on_frame(PeerId peer, std::string_view frame, TimeUs now_us, DoorOutput& output) {
  Connection* connection = find_or_welcome(peer);
  if (connection == nullptr || connection->deaf) return;
  StatusOr<door::FromClient> message = codec_.decode_from_client(frame);
  if (!message.ok()) {
    bad_frame(*connection, message.status());
    return;
  }
  if (!connection->greeted && !std::holds_alternative<door::Hello>(*message)) {
    bad_frame(
        *connection,
        invalid("TRI-NET-007",
                "the first message of a connection was no Hello; say Hello and wait for Welcome"));
    return;
  }
  Call call{peer, *connection, now_us, output};
  std::visit([&](auto& value) { handle(call, std::move(value)); }, *message);
}

FrontDoor::Connection* FrontDoor::find_or_welcome(PeerId peer) {
  if (Connection* connection = find(peer)) return connection;
  ClientOutbox outbox(peer, sender_, &codec_, options_.max_waiting_bytes);
  if (num_connections() >= options_.max_connections) {
    door::Error error = to_error(
        0,
        exhausted("TRI-NET-008",
                  "the door has {} connections, which is its limit; close some or come back later",
                  num_connections()),
        kRetryAfterMs);
    error.closes = true;
    refusals_.push_back({peer, 0, error.error_id});
    outbox.send(error);
    return nullptr;
  }
  connections_.emplace(peer, Connection(std::move(outbox)));
  return find(peer);
}

FrontDoor::Connection* FrontDoor::find(PeerId peer) {
  const auto found = connections_.find(peer);
  if (found == connections_.end()) return nullptr;
  if (!std::exchange(found->second.touched, true)) touched_.push_back(peer);
  return &found->second;
}

FrontDoor::Request* FrontDoor::find(PeerId peer, uint64_t tag, Connection** connection) {
  Connection* const owner = find(peer);
  if (owner == nullptr) return nullptr;
  if (connection != nullptr) *connection = owner;
  const auto found = owner->requests.find(tag);
  return found == owner->requests.end() ? nullptr : &found->second;
}

// The Error names the tag of a malformed Submit unless a running request has it: that one goes on.
// A Submit with a tag is a refused request, not a bad frame: a client may send many of them.
void FrontDoor::bad_frame(Connection& connection, const Status& status) {
  const uint64_t tag = codec_.last_submit_tag();
  door::Error error = to_error(connection.requests.contains(tag) ? 0 : tag, status, 0);
  if (error.tag != 0 && connection.greeted) return send_error(connection, error);
  error.protocol_major_min = kProtocolMajorMin;
  error.protocol_major_max = kProtocolMajor;
  connection.deaf = ++connection.bad_frames >= options_.max_bad_frames;
  error.closes = connection.deaf;
  send_error(connection, error);
}

void FrontDoor::send_error(Connection& connection, const door::Error& error) {
  refusals_.push_back({connection.outbox.peer(), error.tag, error.error_id});
  connection.outbox.send(error);
}

void FrontDoor::refuse(Connection& connection,
                       uint64_t tag,
                       const Status& status,
                       int64_t retry_after_ms) {
  connection.requests.erase(tag);
  connection.outbox.close(tag);
  send_error(connection, to_error(tag, status, retry_after_ms));
}

void FrontDoor::handle(Call& call, const door::Hello& /*hello*/) {
  call.connection.greeted = true;
  door::Welcome welcome;
  welcome.protocol_major_min = kProtocolMajorMin;
  welcome.protocol_major_max = kProtocolMajor;
  welcome.protocol_minor = kProtocolMinor;
  welcome.server = options_.server;
  welcome.models = {options_.model};
  welcome.limits = {kMaxControlBytes,
                    kMaxPromptBytes,
                    options_.max_in_flight,
                    kMaxChoices,
                    kMaxLogprobs,
                    kMaxStopStrings};
  welcome.default_credit_bytes = kDefaultCreditBytes;
  call.connection.outbox.send(welcome);
}

Status FrontDoor::may_open(const Connection& connection, uint64_t tag) const {
  if (connection.requests.contains(tag) || connection.outbox.has(tag)) {
    return invalid("TRI-REQ-080",
                   "tag {} names a request of this connection that is not over; take another tag",
                   tag);
  }
  if (draining_) {
    return unavailable("TRI-REQ-083", "the cluster is draining and takes no new requests");
  }
  if (static_cast<int32_t>(connection.requests.size()) >= options_.max_in_flight) {
    return exhausted(
        "TRI-REQ-081",
        "this connection has {} requests in flight, which is its limit; wait for one to finish",
        connection.requests.size());
  }
  return ok_status();
}

void FrontDoor::handle(Call& call, door::Submit message) {
  const uint64_t tag = message.tag;
  if (const Status status = may_open(call.connection, tag); !status.ok()) {
    const int64_t retry = absl::IsResourceExhausted(status) ? kRetryAfterMs : 0;
    send_error(call.connection, to_error(tag, status, retry));
    return;
  }
  StatusOr<SubmitRequest> request = admit(message, options_.rules);
  if (!request.ok()) {
    send_error(call.connection, to_error(tag, request.status(), 0));
    return;
  }
  request->connection = call.peer;
  if (message.deadline_ms > 0) request->deadline_us = call.now_us + message.deadline_ms * 1000;
  call.connection.outbox.open(tag, request->credit_bytes);
  Request& entry = call.connection.requests[tag];
  if (auto* text = std::get_if<std::string>(&message.prompt)) {
    entry.job = next_job_++;
    call.output.jobs.push_back({entry.job, std::move(*text), message.add_special_tokens});
    pending_prompts_[entry.job] = {call.peer, std::move(*request)};
    return;
  }
  call.output.events.push_back(event::Submitted{std::move(*request)});
}

void FrontDoor::on_tokenized(uint64_t job, StatusOr<std::vector<TokenId>> ids, DoorOutput& output) {
  const auto pending = pending_prompts_.find(job);
  if (pending == pending_prompts_.end()) return;  // cancelled or disconnected
  const PeerId peer = pending->second.peer;
  SubmitRequest request = std::move(pending->second.request);
  pending_prompts_.erase(pending);
  Connection* connection = nullptr;
  Request* const entry = find(peer, request.client_tag, &connection);
  if (entry == nullptr) return;
  entry->job = 0;
  Status status = ids.status();
  if (ids.ok()) {
    request.prompt = std::move(*ids);
    status = check_prompt(request, options_.rules);
  }
  if (!status.ok()) {
    refuse(*connection, request.client_tag, status);
    return;
  }
  output.events.push_back(event::Submitted{std::move(request)});
}

void FrontDoor::on_tokenizer_full(uint64_t job) {
  const auto pending = pending_prompts_.find(job);
  if (pending == pending_prompts_.end()) return;
  const PeerId peer = pending->second.peer;
  const uint64_t tag = pending->second.request.client_tag;
  pending_prompts_.erase(pending);
  if (Connection* connection = find(peer)) {
    refuse(*connection,
           tag,
           exhausted("TRI-REQ-094", "too many prompts wait for the tokenizer; try again later"),
           kRetryAfterMs);
  }
}

void FrontDoor::handle(Call& call, const door::Cancel& message) {
  if (!message.request_id.empty()) {
    // The id is a secret; a client that knows it may cancel from any connection.
    call.output.events.push_back(event::Cancelled{id_from_wire(message.request_id), 0});
    return;
  }
  Request* const request = find(call.peer, message.tag);
  if (request == nullptr) return;  // it has ended while the Cancel was on its way
  if (request->job != 0) {
    pending_prompts_.erase(request->job);
    finish_cancelled(call.connection, message.tag);
  } else if (request->accepted) {
    call.output.events.push_back(event::Cancelled{request->id, call.peer});
  } else {
    request->cancel_wanted = true;
  }
}

void FrontDoor::finish_cancelled(Connection& connection, uint64_t tag) {
  door::Finished finished;
  finished.tag = tag;
  finished.reason = door::FinishReason::kCancelled;
  finished.last_choice = true;
  connection.requests.erase(tag);
  connection.outbox.add(tag, finished, 0, true);
}

void FrontDoor::handle(Call& call, door::Resume message) {
  if (const Status status = may_open(call.connection, message.tag);
      !status.ok() && !absl::IsUnavailable(status)) {
    send_error(call.connection, to_error(message.tag, status, 0));
    return;
  }
  const int64_t credit = message.credit_bytes > 0 ? message.credit_bytes : kDefaultCreditBytes;
  call.connection.requests[message.tag] = Request{};
  call.connection.outbox.open(message.tag, credit);
  call.output.events.push_back(event::Resumed{call.peer,
                                              message.tag,
                                              id_from_wire(message.request_id),
                                              message.nonce,
                                              std::move(message.next_index),
                                              credit});
}

void FrontDoor::handle(Call& call, door::Credit message) {
  Request* const request = find(call.peer, message.tag);
  call.connection.outbox.grant(message.tag, message.bytes);
  if (request == nullptr) return;
  if (request->accepted) {
    call.output.events.push_back(event::Credited{call.peer, request->id, message.bytes});
  } else {
    request->granted_early = std::min(request->granted_early + message.bytes, kMaxCreditBytes);
  }
}

void FrontDoor::handle(Call& call, door::Ping message) {
  call.connection.outbox.send(door::Pong{message.nonce});
}

void FrontDoor::handle(Call& call, door::ListModels) {
  call.connection.outbox.send(door::Models{{options_.model}});
}

void FrontDoor::handle(Call& call, door::StatusRequest) {
  call.output.status_questions.push_back(call.peer);
}

void FrontDoor::answer_status(PeerId peer, const door::StatusReply& reply) {
  if (Connection* connection = find(peer)) connection->outbox.send(reply);
}

void FrontDoor::on_effect(const effect::Accept& effect, DoorOutput& output) {
  Connection* connection = nullptr;
  Request* const request = find(effect.connection, effect.client_tag, &connection);
  if (request == nullptr) return;
  request->accepted = true;
  request->id = effect.request;
  connection->outbox.send(to_message(effect));
  if (request->granted_early > 0) {
    output.events.push_back(
        event::Credited{effect.connection, effect.request, request->granted_early});
  }
  if (request->cancel_wanted) {
    output.events.push_back(event::Cancelled{effect.request, effect.connection});
  }
}

void FrontDoor::on_effect(const effect::Refuse& effect) {
  if (Connection* connection = find(effect.connection)) {
    refuse(*connection, effect.client_tag, effect.status, effect.retry_after_ms);
  }
}

void FrontDoor::on_effect(effect::Tokens effect) {
  Connection* const connection = find(effect.connection);
  if (connection == nullptr) return;
  door::Piece piece = to_message(std::move(effect));
  const uint64_t tag = piece.tag;
  connection->outbox.add(tag, std::move(piece));
}

void FrontDoor::on_effect(effect::PromptLogprobs effect) {
  Connection* const connection = find(effect.connection);
  if (connection == nullptr || effect.entries.empty()) return;
  door::PromptLogprobs message = to_message(std::move(effect));
  int64_t cost = 0;
  for (const door::TokenLogprob& entry : message.entries) {
    cost += prompt_logprobs_cost(1 + static_cast<int64_t>(entry.top.size()));
  }
  const uint64_t tag = message.tag;
  connection->outbox.add(tag, std::move(message), cost, false);
}

void FrontDoor::on_effect(effect::ProbeValues effect) {
  Connection* const connection = find(effect.connection);
  if (connection == nullptr) return;
  door::ProbeValues message = to_message(std::move(effect));
  const int64_t cost = probe_cost(static_cast<int64_t>(message.values.size()));
  const uint64_t tag = message.tag;
  connection->outbox.add(tag, std::move(message), cost, false);
}

void FrontDoor::on_effect(effect::Finish effect) {
  Connection* const connection = find(effect.connection);
  if (connection == nullptr) return;
  door::Finished finished = to_message(std::move(effect));
  const uint64_t tag = finished.tag;
  const bool last = finished.last_choice;
  connection->outbox.add(tag, std::move(finished), 0, last);
  if (last) connection->requests.erase(tag);
}

std::vector<Refusal> FrontDoor::take_refusals() { return std::exchange(refusals_, {}); }

void FrontDoor::set_groups(int32_t ready_groups, int32_t max_model_len) {
  options_.model.ready_groups = ready_groups;
  if (ready_groups == 0) return;
  options_.model.max_model_len = max_model_len;
  options_.rules.max_model_len = max_model_len;
}

bool FrontDoor::has_streams() const {
  return std::any_of(connections_.begin(), connections_.end(), [](const auto& entry) {
    return !entry.second.requests.empty() || entry.second.outbox.waiting_bytes() > 0;
  });
}

void FrontDoor::flush(TimeUs now_us, DoorOutput& output) {
  std::vector<PeerId> lost;
  std::vector<PeerId> parked;
  for (const PeerId peer : touched_) {
    const auto found = connections_.find(peer);
    if (found == connections_.end()) continue;
    ClientOutbox& outbox = found->second.outbox;
    outbox.flush(now_us);
    const bool stuck =
        outbox.is_parked() && now_us - outbox.parked_since_us() > options_.max_parked_us;
    if (outbox.state() != ClientOutbox::State::kOpen || stuck) {
      lost.push_back(peer);
    } else if (outbox.is_parked()) {
      parked.push_back(peer);
    }
    found->second.touched = outbox.is_parked();
  }
  touched_ = std::move(parked);
  has_parked_ = !touched_.empty();
  for (const PeerId peer : lost) drop(peer, output);
}

void FrontDoor::on_gone(PeerId peer, DoorOutput& output) { drop(peer, output); }

// Ends a connection. A client that does not read gets one last Error ahead of all that waits.
void FrontDoor::drop(PeerId peer, DoorOutput& output) {
  const auto found = connections_.find(peer);
  if (found == connections_.end()) return;
  for (const auto& [tag, request] : found->second.requests) {
    if (request.job != 0) pending_prompts_.erase(request.job);
  }
  if (found->second.outbox.state() != ClientOutbox::State::kGone) {
    door::Error error = to_error(
        0,
        exhausted("TRI-NET-009",
                  "{} bytes wait for a client that does not read; read faster or give less credit",
                  found->second.outbox.waiting_bytes()),
        0);
    error.closes = true;
    refusals_.push_back({peer, 0, error.error_id});
    std::string frame;
    codec_.encode(error, frame);
    sender_->send(peer, frame);
  }
  connections_.erase(found);
  output.events.push_back(event::Disconnected{peer});
}

}  // namespace trireme
