#include "coordinator/doors/clients/front_door.h"

#include <algorithm>
#include <utility>

#include "proto/credit.h"
#include "proto/error_kind.h"
#include "proto/frame.h"

namespace trireme {

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
    refuse_ungreeted(*connection);
    return;
  }
  Call call{peer, *connection, now_us, output};
  std::visit([&](auto& value) { handle(call, std::move(value)); }, *message);
}

// `closes`: the door may have dropped the connection and its last Error may be lost. A client that
// holds itself connected has to begin anew.
void FrontDoor::refuse_ungreeted(Connection& connection) {
  door::Error error = error_of(
      codec_.last_tag(),
      invalid("TRI-NET-007",
              "the first message of a connection was no Hello; say Hello and wait for Welcome"));
  connection.deaf = ++connection.bad_frames >= options_.max_bad_frames;
  error.protocol_major_min = kProtocolMajorMin;
  error.protocol_major_max = kProtocolMajor;
  error.closes = true;
  send_error(connection, error);
}

FrontDoor::Connection* FrontDoor::find_or_welcome(PeerId peer) {
  if (Connection* connection = find(peer)) return connection;
  ClientOutbox outbox(peer, sender_, &codec_, options_.max_waiting_bytes);
  if (num_connections() >= options_.max_connections) {
    door::Error error = error_of(
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

// The Error names the tag of a malformed Submit (Tokenize, Detokenize) unless a running request has
// it: that one goes on. A message with a tag is a refused request, not a bad frame: a client may
// send many of them.
void FrontDoor::bad_frame(Connection& connection, const Status& status) {
  const uint64_t tag = codec_.last_tag();
  door::Error error = error_of(connection.requests.contains(tag) ? 0 : tag, status);
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
  send_error(connection, error_of(tag, status, retry_after_ms));
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

void FrontDoor::handle(Call& call, door::Ping message) {
  call.output.pings.push_back({call.peer, message.nonce});
}

void FrontDoor::handle(Call& call, door::ListModels) {
  call.connection.outbox.send(door::Models{{options_.model}});
}

void FrontDoor::handle(Call& call, door::StatusRequest) {
  call.output.status_questions.push_back(call.peer);
}

void FrontDoor::drain() {
  draining_ = true;
  options_.model.state = "UNLOADING";
}

std::vector<Refusal> FrontDoor::take_refusals() { return std::exchange(refusals_, {}); }

void FrontDoor::set_groups(int32_t ready_groups, int32_t max_model_len) {
  options_.model.ready_groups = ready_groups;
  if (ready_groups == 0) return;
  if (!draining_) options_.model.state = "AVAILABLE";
  options_.model.max_model_len = max_model_len;
  options_.rules.max_model_len = max_model_len;
}

bool FrontDoor::is_parked(PeerId peer) const {
  const auto found = connections_.find(peer);
  return found != connections_.end() && found->second.outbox.is_parked();
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
    if (std::exchange(found->second.blocked, outbox.is_parked()) == outbox.is_parked()) continue;
    if (outbox.is_parked()) {
      output.events.push_back(event::Blocked{peer});
    } else {
      output.events.push_back(event::Writable{peer});
    }
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
    if (request.job != 0) forget_job(request.job, output);
  }
  if (found->second.outbox.state() != ClientOutbox::State::kGone) {
    door::Error error = error_of(
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
