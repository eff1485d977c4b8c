#include "clients/cpp/client.h"

#include <algorithm>
#include <random>
#include <utility>

#include "clients/cpp/request_check.h"
#include "proto/error_kind.h"

namespace trireme {
namespace {

// Frames that one poll() takes: an event loop has other work too.
constexpr int kFramesPerPoll = 256;
// Without reconnection: how long a send waits for a socket that takes nothing.
constexpr TimeUs kSendTimeoutUs = 5'000'000;
constexpr int64_t kRetryAfterMs = 1'000;  // of a refusal that may pass

Status to_status(const door::Error& error) {
  return status_from_wire(error.error_id, error.message);
}

// For an idempotency key.
std::string random_bytes() {
  std::random_device random;
  std::string bytes;
  for (int word = 0; word < 4; ++word) {
    const uint32_t value = random();
    bytes.append(reinterpret_cast<const char*>(&value), sizeof value);
  }
  return bytes;
}

Client::Milliseconds in_ms(TimeUs time) {
  return std::chrono::ceil<Client::Milliseconds>(
      std::chrono::microseconds(std::max(time, TimeUs{0})));
}

ClientOptions with_clock(ClientOptions options, Clock& clock) {
  if (options.clock == nullptr) options.clock = &clock;
  return options;
}

}  // namespace

Client::Client(std::unique_ptr<ClientConnector> connector,
               std::unique_ptr<ClientTransport> transport,
               const ClientOptions& options,
               WakeDescriptor wake)
    : options_(with_clock(options, steady_clock_)),
      connection_(std::move(connector), std::move(transport), options_, std::move(wake)) {}

std::optional<Client::Milliseconds> Client::next_action_in() const {
  std::optional<TimeUs> next_us;
  const auto note = [&](std::optional<TimeUs> at_us) {
    if (at_us && (!next_us || *at_us < *next_us)) next_us = at_us;
  };
  note(connection_.retry_us());
  note(welcome_due_us_);
  if (streams_.size() > 0) note(give_up_us_);
  if (state_ == ClientState::kReady) note(connection_.stuck_us());
  if (!next_us) return std::nullopt;
  return in_ms(*next_us - now_us());
}

void Client::act_on_time() {
  connection_.flush();
  if (!connection_.reconnects()) return;
  if (connection_.start_if_due()) {
    codec_.encode(door::FromClient(door::Hello{kProtocolMinor, options_.name}), frame_);
    connection_.send(frame_);
  }
  // The Welcome is due from the moment when the socket took Hello, which needs a connection.
  const bool said_hello = connection_.has_transport() && !connection_.has_unsent();
  if (state_ == ClientState::kConnecting && said_hello && !welcome_due_us_) {
    welcome_due_us_ = now_us() + in_us(options_.welcome_timeout);
  }
  if (give_up_us_ && now_us() >= *give_up_us_) {
    give_up_us_.reset();
    end_lost(/*all=*/true);
  }
  const auto stuck_us = connection_.stuck_us();
  if (welcome_due_us_ && now_us() >= *welcome_due_us_) {
    lose_connection(timed_out("TRI-NET-032",
                              "the coordinator did not answer within {} ms",
                              options_.welcome_timeout.count()));
  } else if (state_ == ClientState::kReady && stuck_us && now_us() >= *stuck_us) {
    lose_connection(timed_out("TRI-NET-030",
                              "the coordinator accepted no message for {} ms",
                              options_.unsent_timeout.count()));
  }
}

void Client::lose_connection(const Status& cause) {
  end_lost(/*all=*/false);
  events_.push_back(ConnectionChange{ClientState::kConnecting, error_id(cause), message_of(cause)});
  connection_.lose();
  welcome_due_us_.reset();
  if (state_ == ClientState::kReady) give_up_us_ = now_us() + in_us(options_.resume_patience);
  state_ = ClientState::kConnecting;
}

void Client::end_lost(bool all) {
  const Status lost = unavailable(
      "TRI-NET-031",
      "the connection to the coordinator was lost before the end of the answer; ask again");
  for (const uint64_t tag : streams_.close_lost(all)) {
    events_.push_back(error_of(tag, lost, kRetryAfterMs));
  }
}

uint64_t Client::next_nonce() {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  return nonces_.next(
      static_cast<uint64_t>(in_us(std::chrono::duration_cast<std::chrono::microseconds>(now))));
}

void Client::attach(uint64_t tag) {
  for (const door::FromClient& message : streams_.attach(tag, next_nonce())) {
    if (const Status status = encode(message); status.ok()) {
      connection_.send(frame_);
    } else {
      streams_.close(tag);
      events_.push_back(error_of(tag, status, 0));
      return;
    }
  }
}

void Client::end_connection(const Status& cause) {
  if (connection_.reconnects()) {
    lose_connection(cause);
    return;
  }
  lost_ = cause;
  state_ = ClientState::kClosed;
}

bool Client::wait_until(TimeUs deadline_us) {
  const Milliseconds left = in_ms(deadline_us - now_us());
  if (left.count() == 0) return false;
  const Milliseconds wait = std::min(left, next_action_in().value_or(left));
  connection_.update_descriptor(false);
  return connection_.wait(static_cast<int>(wait.count())) || wait < left;
}

FrameLimits Client::limits() const {
  const door::Limits& limits = welcome_.limits;
  FrameLimits known;
  if (limits.max_control_bytes > 0) known.control_bytes = limits.max_control_bytes;
  if (limits.max_prompt_bytes > 0) known.prompt_bytes = limits.max_prompt_bytes;
  return known;
}

Status Client::encode(const door::FromClient& message) {
  codec_.encode(message, frame_);
  frame_bytes_ = static_cast<int64_t>(frame_.size());
  return check_frame_size(frame_, limits());
}

Status Client::require_ready() const {
  if (!connection_.reconnects() || state_ == ClientState::kReady) return ok_status();
  return unavailable("TRI-NET-032", "there is no connection to the coordinator; try again");
}

Status Client::require_room() const {
  const int64_t waiting = std::max(connection_.unsent_bytes(), streams_.kept_bytes());
  if (!connection_.reconnects() || waiting == 0) return ok_status();
  const int64_t bytes = waiting + frame_bytes_;
  if (bytes <= options_.max_unsent_bytes) return ok_status();
  return exhausted("TRI-NET-030",
                   "{} bytes wait for the coordinator, at most {} may; try again",
                   bytes,
                   options_.max_unsent_bytes);
}

Status Client::send_frame() {
  if (!lost_.ok()) return lost_;
  connection_.send(frame_);
  if (connection_.reconnects()) return ok_status();
  // Frames that arrive meanwhile are received: the coordinator may be waiting for that.
  const TimeUs deadline_us = now_us() + kSendTimeoutUs;
  while (connection_.has_unsent()) {
    if (!wait_until(deadline_us)) {
      return timed_out("TRI-NET-030",
                       "the coordinator accepted no message for {} ms; it has ended or is "
                       "overloaded",
                       kSendTimeoutUs / 1'000);
    }
    RETURN_IF_ERROR(receive_frames());
    connection_.flush();
  }
  return ok_status();
}

Status Client::send(const door::FromClient& message) {
  RETURN_IF_ERROR(encode(message));
  RETURN_IF_ERROR(send_frame());
  connection_.update_descriptor(!events_.empty());
  return ok_status();
}

StatusOr<bool> Client::send_or_refuse(uint64_t tag,
                                      Status checks,
                                      const door::FromClient& message,
                                      bool hold) {
  if (checks.ok()) checks = encode(message);
  if (checks.ok()) checks = require_room();
  if (!checks.ok()) {
    const bool may_pass = absl::IsUnavailable(checks) || absl::IsResourceExhausted(checks);
    events_.push_back(error_of(tag, checks, may_pass ? kRetryAfterMs : 0));
  } else if (!hold) {
    RETURN_IF_ERROR(send_frame());
  }
  connection_.update_descriptor(!events_.empty());
  return checks.ok();
}

StatusOr<uint64_t> Client::submit(door::Submit request, CreditMode credit) {
  const uint64_t tag = request.tag = next_tag_++;
  if (request.credit_bytes == 0) request.credit_bytes = welcome_.default_credit_bytes;
  if (resumes()) make_resumable(request, random_bytes());
  if (request.nonce == 0) request.nonce = next_nonce();
  nonces_.note(request.nonce);
  const bool is_held = resumes() && options_.holds_submits && state_ == ClientState::kConnecting;
  Status checks = is_held ? ok_status() : require_ready();
  if (checks.ok()) checks = check_request(request, limits().prompt_bytes);
  const door::FromClient message(std::move(request));
  ASSIGN_OR_RETURN(const bool is_taken, send_or_refuse(tag, checks, message, is_held));
  if (!is_taken) return tag;
  streams_.open(std::get<door::Submit>(message), credit, resumes(), frame_bytes_);
  if (is_held && !give_up_us_) give_up_us_ = now_us() + in_us(options_.resume_patience);
  return tag;
}

StatusOr<uint64_t> Client::resume(door::Resume request, CreditMode credit) {
  RETURN_IF_ERROR(require_ready());
  const uint64_t tag = request.tag = next_tag_++;
  if (request.credit_bytes == 0) request.credit_bytes = welcome_.default_credit_bytes;
  if (request.nonce == 0) request.nonce = next_nonce();
  nonces_.note(request.nonce);
  RETURN_IF_ERROR(send(request));
  streams_.open(request, credit, resumes());
  return tag;
}

Status Client::cancel(uint64_t tag) {
  if (!streams_.cancel(tag)) return ok_status();
  return send(door::Cancel{tag, ""});
}

Status Client::cancel_all() {
  for (const uint64_t tag : streams_.tags()) RETURN_IF_ERROR(cancel(tag));
  return ok_status();
}

void Client::leave(uint64_t tag) { streams_.close(tag); }

void Client::end_with_connection(uint64_t tag) { streams_.end_with_connection(tag); }

Status Client::grant(uint64_t tag, int64_t bytes) {
  const int64_t due_bytes = streams_.note_used(tag, bytes);
  if (due_bytes == 0) return ok_status();
  send_credit(tag, due_bytes);
  connection_.update_descriptor(!events_.empty());
  return ok_status();
}

StatusOr<std::vector<ClientEvent>> Client::poll(Milliseconds timeout) {
  const TimeUs deadline_us = now_us() + in_us(timeout);
  do {
    act_on_time();
    if (const Status status = receive_frames(); !status.ok()) end_connection(status);
    if (events_.empty() && !lost_.ok()) return lost_;
  } while (events_.empty() && wait_until(deadline_us));
  std::vector<ClientEvent> events(std::make_move_iterator(events_.begin()),
                                  std::make_move_iterator(events_.end()));
  events_.clear();
  connection_.update_descriptor(false);
  return events;
}

StatusOr<std::optional<door::ToClient>> Client::receive() {
  ASSIGN_OR_RETURN(std::optional<std::string> frame, connection_.receive());
  if (!frame) return std::optional<door::ToClient>();
  ASSIGN_OR_RETURN(door::ToClient message, codec_.decode_to_client(*frame));
  return std::optional<door::ToClient>(std::move(message));
}

Status Client::receive_frames() {
  if (!lost_.ok()) return lost_;
  for (int frame = 0; frame < kFramesPerPoll; ++frame) {
    ASSIGN_OR_RETURN(std::optional<door::ToClient> message, receive());
    if (!message) break;
    RETURN_IF_ERROR(deliver(std::move(*message)));
  }
  return ok_status();
}

void Client::send_credit(uint64_t tag, int64_t bytes) {
  if (bytes == 0) return;
  codec_.encode(door::FromClient(door::Credit{tag, bytes}), frame_);
  connection_.send(frame_);
}

void Client::add_event(ClientEvent event) {
  const uint64_t tag = tag_of(event);
  const ClientStreams::News news = streams_.note_event(event);
  send_credit(tag, news.grant_bytes);
  if (news.starts_again) attach(tag);
  if (news.is_new) events_.push_back(std::move(event));
}

void Client::note_welcome(door::Welcome welcome) {
  welcome_ = std::move(welcome);
  welcome_due_us_.reset();
  give_up_us_.reset();
  state_ = ClientState::kReady;
  connection_.note_welcome();
  for (const uint64_t tag : streams_.tags()) attach(tag);
}

// An Error with tag 0 ends a Client that does not reconnect: one of its messages has no answer. One
// that closes, or that misses the Hello, says that the coordinator knows this connection no more.
Status Client::deliver_error(door::Error error) {
  if (error.closes || error.error_id == "TRI-NET-007") return to_status(error);
  const bool ends = state_ != ClientState::kReady || !connection_.reconnects();
  if (error.tag == 0 && ends) return to_status(error);
  add_event(std::move(error));
  return ok_status();
}

Status Client::deliver(door::ToClient message) {
  if (auto* error = std::get_if<door::Error>(&message)) return deliver_error(std::move(*error));
  if (auto* welcome = std::get_if<door::Welcome>(&message)) {
    note_welcome(std::move(*welcome));
    if (connection_.reconnects()) add_event(ConnectionChange{ClientState::kReady, "", ""});
  } else if (auto* tokens = std::get_if<door::Tokens>(&message)) {
    for (door::Piece& piece : tokens->pieces) add_event(std::move(piece));
  } else {
    std::visit(
        [this]<class Message>(Message& value) {
          if constexpr (std::is_constructible_v<ClientEvent, Message>) add_event(std::move(value));
        },
        message);
  }
  return ok_status();
}

void Client::close() {
  connection_.close();
  streams_.close_lost(/*all=*/true);
  events_.clear();
  welcome_due_us_.reset();
  give_up_us_.reset();
  state_ = ClientState::kClosed;
}

}  // namespace trireme
