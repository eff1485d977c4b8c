// Client side of the client door: a ZeroMQ DEALER socket per connection. Used by one thread.
#pragma once

#include <memory>
#include <string>

#include "base/status.h"
#include "clients/cpp/client_transport.h"

namespace trireme {

// The only connection of a Client that waits for its answers: starts connecting to tcp://HOST:PORT
// or ipc://PATH and returns at once. TRI-NET-033: malformed; TRI-UP-041: too few open files.
StatusOr<std::unique_ptr<ClientTransport>> connect_client_link(const std::string& endpoint);

// Starts one connection after another for a Client that reconnects. The same errors.
StatusOr<std::unique_ptr<ClientConnector>> make_client_connector(const std::string& endpoint);

}  // namespace trireme
