// C++ client of the front door: one connection, any number of streams. Used by one thread. There is
// no background thread: frames are received and sent inside the calls.
//
// For a program that waits for its answers:
//   ASSIGN_OR_RETURN(auto client, Client::connect("tcp://127.0.0.1:8900", 5s));
//   door::Submit request;
//   request.prompt = std::string("The galley");
//   ASSIGN_OR_RETURN(const uint64_t tag, client->submit(std::move(request)));
//   ... ASSIGN_OR_RETURN(auto events, client->poll(100ms)); until a Finished with last_choice.
//
// The same with ClientOptions lives through the loss of its connection: it connects again, and the
// answers go on where they were.
//
// For an event loop, in which no call may block and the coordinator may come and go:
//   ASSIGN_OR_RETURN(auto client, Client::open("tcp://127.0.0.1:8900", {}));
//   ... when client->descriptor() is readable or client->next_action_in() has passed:
//   ASSIGN_OR_RETURN(auto events, client->poll(0ms));
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/status.h"
#include "clients/cpp/client_connection.h"
#include "clients/cpp/client_events.h"
#include "clients/cpp/client_options.h"
#include "clients/cpp/client_streams.h"
#include "clients/cpp/client_transport.h"
#include "proto/client_codec.h"
#include "proto/client_messages.h"

namespace trireme {

class Client {
 public:
  using Milliseconds = std::chrono::milliseconds;

  // Connects and exchanges Hello and Welcome. This Client does not reconnect: after a loss every
  // call fails. TRI-NET-032: nobody answers at the endpoint within `timeout`; TRI-NET-033: a
  // malformed endpoint; or the coordinator's refusal.
  static StatusOr<std::unique_ptr<Client>> connect(const std::string& endpoint,
                                                   Milliseconds timeout);
  static StatusOr<std::unique_ptr<Client>> connect(std::unique_ptr<ClientTransport> transport,
                                                   Milliseconds timeout);

  // Returns at once with a Client that connects inside poll() and reconnects after a loss, with a
  // delay. A ConnectionChange says when it becomes ready or is lost. The requests of a lost
  // connection go on with the next one under their tags, without any event lost or repeated, or
  // end with a door::Error (TRI-NET-031, kUnavailable): where ClientOptions say so, after their
  // patience, and all tokenize() and detokenize(). poll() never fails.
  // TRI-NET-033: a malformed endpoint; TRI-UP-041: too few open files.
  static StatusOr<std::unique_ptr<Client>> open(const std::string& endpoint,
                                                const ClientOptions& options);
  static StatusOr<std::unique_ptr<Client>> open(std::unique_ptr<ClientConnector> connector,
                                                const ClientOptions& options);

  // Such a Client, after waiting up to `timeout` until it is ready. TRI-NET-032: it is not.
  static StatusOr<std::unique_ptr<Client>> connect(const std::string& endpoint,
                                                   Milliseconds timeout,
                                                   const ClientOptions& options);

  ClientState state() const { return state_; }
  const door::Welcome& welcome() const { return welcome_; }  // of the newest connection
  size_t num_open() const { return streams_.size(); }        // requests that are not over

  // Readable (level-triggered) whenever poll(0ms) has something to do; also after a call that found
  // a frame on its way. Spurious wake-ups happen. Constant and valid as long as the Client.
  int descriptor() const { return connection_.descriptor(); }
  // The time until poll() is due although the descriptor is silent: an attempt to connect or a
  // time-out. Nothing: no such time. Any call may change it.
  std::optional<Milliseconds> next_action_in() const;

  // Sends a request and returns the tag chosen for it. Its events, a refusal included, come from
  // poll(). A request that the coordinator cannot take (TRI-NET-004: larger than Welcome.limits;
  // TRI-NET-003: a text that is not UTF-8) is not sent, and refused like any other. A Client that
  // reconnects also refuses it if too much is unsent (TRI-NET-030, kOverloaded) or, unless it holds
  // them, while it is not ready (TRI-NET-032, kUnavailable).
  StatusOr<uint64_t> submit(door::Submit request, CreditMode credit = CreditMode::kAutomatic);
  Status cancel(uint64_t tag);
  Status cancel_all();
  // Reads the answer no more; the request goes on, and anybody who knows its id may resume it.
  // Events that are on their way may still come.
  void leave(uint64_t tag);
  // After a loss of the connection the answer is not resumed, and ends with TRI-NET-031.
  void end_with_connection(uint64_t tag);
  // Reads the answer of an earlier request, of this program or another; returns the tag of its
  // events. `nonce` 0: by the wall clock. TRI-NET-032: not ready.
  StatusOr<uint64_t> resume(door::Resume request, CreditMode credit = CreditMode::kAutomatic);
  // Manual credit: gives back credit_cost() of events whose content was passed on. Small grants are
  // joined; those for requests that are over are ignored.
  Status grant(uint64_t tag, int64_t bytes);

  // Questions whose replies are events: Tokenized, Detokenized or an Error with the returned tag; a
  // Pong with the returned nonce, Models, StatusReply. Those of a lost connection: an Error with
  // the tag, and no Pong, Models and StatusReply.
  StatusOr<uint64_t> tokenize(door::Tokenize question);
  StatusOr<uint64_t> detokenize(door::Detokenize question);
  StatusOr<uint64_t> ask_ping();
  Status ask_models();
  Status ask_status();

  // Returns the events that have arrived, after waiting up to `timeout` for the first; may be
  // empty. Takes a bounded number of frames, so the descriptor may stay readable. An error means
  // that the connection is lost or was closed by the coordinator.
  StatusOr<std::vector<ClientEvent>> poll(Milliseconds timeout);

  // One question and its reply; block up to `timeout`. Events of streams that arrive meanwhile are
  // kept for poll(). Not together with the ask_...() above.
  StatusOr<door::StatusReply> status(Milliseconds timeout);
  StatusOr<std::vector<door::ModelInfo>> models(Milliseconds timeout);
  Status ping(Milliseconds timeout);

  // Ends the connection and all streams, without events. Nothing is sent or received afterwards.
  void close();

 private:
  Client(std::unique_ptr<ClientConnector> connector,
         std::unique_ptr<ClientTransport> transport,
         const ClientOptions& options,
         WakeDescriptor wake);

  TimeUs now_us() const { return options_.clock->now_us(); }
  // Sends unsent frames; attempts to connect and time-outs that are due.
  void act_on_time();
  void lose_connection(const Status& cause);
  // Ends requests with TRI-NET-031: those that do not go on with the next connection, or all.
  void end_lost(bool all);
  void attach(uint64_t tag);
  uint64_t next_nonce();
  void end_connection(const Status& cause);
  // Waits for frames; false: the deadline has passed.
  bool wait_until(TimeUs deadline_us);

  FrameLimits limits() const;
  // Puts the message into `frame_`. TRI-NET-004.
  Status encode(const door::FromClient& message);
  // Refusals of a request before it is sent.
  bool resumes() const { return options_.resumes && connection_.reconnects(); }
  Status require_ready() const;
  Status require_room() const;
  // Sends `frame_`. Without reconnection it blocks until the socket has taken it. TRI-NET-030.
  Status send_frame();
  Status send(const door::FromClient& message);
  // Sends a request or question that passed its `checks` (or holds it for the next connection), or
  // queues an Error; returns whether it was taken.
  StatusOr<bool> send_or_refuse(uint64_t tag,
                                Status checks,
                                const door::FromClient& message,
                                bool hold = false);
  template <class Question>
  StatusOr<uint64_t> ask_with_tag(Question question);

  // Receives a bounded number of frames. An error: the connection cannot go on.
  Status receive_frames();
  StatusOr<std::optional<door::ToClient>> receive();
  Status deliver(door::ToClient message);
  Status deliver_error(door::Error error);
  void note_welcome(door::Welcome welcome);
  void add_event(ClientEvent event);
  void send_credit(uint64_t tag, int64_t bytes);
  Status say_hello(Milliseconds timeout);
  template <class Reply>
  StatusOr<Reply> ask(const door::FromClient& question, Milliseconds timeout);

  SteadyClock steady_clock_;
  const ClientOptions options_;
  ClientConnection connection_;
  ClientState state_ = ClientState::kConnecting;
  std::optional<TimeUs> welcome_due_us_;
  std::optional<TimeUs> give_up_us_;  // without a connection until then, requests end
  Status lost_ = ok_status();         // without reconnection: the end of the connection

  ClientCodec codec_;
  door::Welcome welcome_;
  uint64_t next_tag_ = 1;
  NonceCounter nonces_;
  ClientStreams streams_;
  std::deque<ClientEvent> events_;
  std::string frame_;
  int64_t frame_bytes_ = 0;  // of the message encoded last
};

}  // namespace trireme
