// C++ client of the front door: one connection, any number of streams. Used by one thread. There is
// no background thread: frames are received and credit is granted inside poll().
//
//   ASSIGN_OR_RETURN(auto client, Client::connect("tcp://127.0.0.1:8900", 5s));
//   door::Submit request;
//   request.prompt = std::string("The galley");
//   ASSIGN_OR_RETURN(const uint64_t tag, client->submit(std::move(request)));
//   ... ASSIGN_OR_RETURN(auto events, client->poll(100ms)); until a Finished with last_choice.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <variant>
#include <vector>

#include "base/status.h"
#include "proto/client_codec.h"
#include "proto/client_messages.h"

namespace trireme {

// Sends and receives frames; made by connect_client_link() or by a test.
class ClientTransport {
 public:
  virtual ~ClientTransport() = default;
  // TRI-NET-030: the peer is gone, or its queue stayed full for `timeout`.
  virtual Status send(const std::string& frame, std::chrono::milliseconds timeout) = 0;
  // The next frame, or nothing within `timeout`. TRI-NET-031: the connection was lost.
  virtual StatusOr<std::optional<std::string>> receive(std::chrono::milliseconds timeout) = 0;
};

// An event of one request; `tag` is the value that submit() returned. A request is over after an
// Error with its tag (it was refused) or a Finished with last_choice.
using ClientEvent = std::variant<door::Accepted,
                                 door::Piece,
                                 door::PromptLogprobs,
                                 door::ProbeValues,
                                 door::Finished,
                                 door::Error>;

class Client {
 public:
  using Milliseconds = std::chrono::milliseconds;

  // Connects and exchanges Hello and Welcome. TRI-NET-032: nobody answers at the endpoint within
  // `timeout`; TRI-NET-033: a malformed endpoint; or the coordinator's refusal.
  static StatusOr<std::unique_ptr<Client>> connect(const std::string& endpoint,
                                                   Milliseconds timeout);
  static StatusOr<std::unique_ptr<Client>> connect(std::unique_ptr<ClientTransport> transport,
                                                   Milliseconds timeout);

  const door::Welcome& welcome() const { return welcome_; }
  size_t num_open() const { return streams_.size(); }  // requests that are not over

  // Sends a request and returns the tag chosen for it. Its events, a refusal included, come from
  // poll(). A request that the coordinator cannot take (TRI-NET-004: larger than Welcome.limits;
  // TRI-NET-003: a text that is not UTF-8) is not sent, and refused like any other.
  StatusOr<uint64_t> submit(door::Submit request);
  Status cancel(uint64_t tag);
  Status resume(door::Resume resume, uint64_t* tag);

  // Returns the events that have arrived, after waiting up to `timeout` for the first; may be
  // empty. An error means that the connection is lost or was closed by the coordinator.
  StatusOr<std::vector<ClientEvent>> poll(Milliseconds timeout);

  // One request and one reply each; events of streams that arrive meanwhile are kept for poll().
  StatusOr<door::StatusReply> status(Milliseconds timeout);
  StatusOr<std::vector<door::ModelInfo>> models(Milliseconds timeout);
  Status ping(Milliseconds timeout);

 private:
  static constexpr Milliseconds kSendTimeout{5'000};

  struct Stream {
    int64_t credit_bytes = 0;  // bytes per grant
    int64_t used_bytes = 0;    // bytes received since the last grant
  };

  explicit Client(std::unique_ptr<ClientTransport> transport);
  FrameLimits limits() const;
  // Puts the message into `frame_`. TRI-NET-004.
  Status encode(const door::FromClient& message);
  Status send(const door::FromClient& message, Milliseconds timeout = kSendTimeout);
  StatusOr<std::optional<door::ToClient>> receive(Milliseconds timeout);
  template <class Reply>
  StatusOr<Reply> ask(const door::FromClient& question, Milliseconds timeout);
  Status say_hello(Milliseconds timeout);
  // Accounts for a message of a stream and queues its events.
  Status deliver(door::ToClient message);
  Status use_credit(uint64_t tag, int64_t bytes);

  std::unique_ptr<ClientTransport> transport_;
  ClientCodec codec_;
  door::Welcome welcome_;
  uint64_t next_tag_ = 1;
  std::unordered_map<uint64_t, Stream> streams_;
  std::deque<ClientEvent> events_;
  std::string frame_;
};

}  // namespace trireme
