// The client's end of the wire: a ZeroMQ DEALER. Belongs to one thread.
#pragma once

#include <memory>
#include <string>

#include "base/status.h"
#include "clients/cpp/client.h"

namespace trireme {

// Starts connecting to tcp://HOST:PORT (or ipc://PATH, inproc is not offered) and returns at once.
StatusOr<std::unique_ptr<ClientTransport>> connect_client_link(const std::string& endpoint);

}  // namespace trireme
