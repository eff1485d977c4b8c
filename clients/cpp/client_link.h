// Client side of the client door: a ZeroMQ DEALER socket. Used by one thread.
#pragma once

#include <memory>
#include <string>

#include "base/status.h"
#include "clients/cpp/client.h"

namespace trireme {

// Starts connecting to tcp://HOST:PORT or ipc://PATH and returns at once. TRI-NET-033: malformed;
// TRI-UP-041: too few open files.
StatusOr<std::unique_ptr<ClientTransport>> connect_client_link(const std::string& endpoint);

}  // namespace trireme
