// Events that Client::poll() returns, and their cost in credit. Plain values.
#pragma once

#include <cstdint>
#include <string>
#include <variant>

#include "proto/client_messages.h"

namespace trireme {

enum class ClientState : uint8_t {
  kConnecting,  // no Welcome yet, or between two connections
  kReady,
  kClosed,  // close() was called, or the connection of a Client that does not reconnect is lost
};

// The connection of a reconnecting Client became ready, or was lost or refused. The streams of a
// lost connection have ended by then, each with a door::Error of its own.
struct ConnectionChange {
  ClientState state = ClientState::kConnecting;
  std::string error_id;  // of a loss
  std::string message;
  bool operator==(const ConnectionChange&) const = default;
};

// A request is over after a door::Error with its tag (it was refused, or its connection is lost) or
// a Finished with last_choice; a question after its reply or an Error with its tag. An Error with
// tag 0 is about the connection.
using ClientEvent = std::variant<door::Accepted,
                                 door::Piece,
                                 door::PromptLogprobs,
                                 door::ProbeValues,
                                 door::Finished,
                                 door::Error,
                                 door::Progress,
                                 door::Tokenized,
                                 door::Detokenized,
                                 door::Pong,
                                 door::Models,
                                 door::StatusReply,
                                 ConnectionChange>;

// The request or question that the event is about; 0: none.
uint64_t tag_of(const ClientEvent& event);

// Whether that request or question is over.
bool is_end(const ClientEvent& event);

// The bytes of credit that the coordinator charged to the stream for this event (proto/credit.h).
int64_t credit_cost(const ClientEvent& event);

}  // namespace trireme
