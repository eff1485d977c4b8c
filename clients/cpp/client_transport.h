// One connection of a client as a value: sends and receives frames and never blocks. A new
// connection is a new transport, with a fresh ZeroMQ identity. Used by one thread.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/status.h"

namespace trireme {

// connect_client_link() or a ClientConnector makes one (client_link.h).
class ClientTransport {
 public:
  virtual ~ClientTransport() = default;
  // Whether the socket took the frame. False while the connection is not established yet, or while
  // the peer takes nothing.
  virtual bool send(const std::string& frame) = 0;
  // The next frame that has arrived, or nothing. TRI-NET-031: the connection was lost.
  virtual StatusOr<std::optional<std::string>> receive() = 0;
  // Whether receive() would return something, or, with `to_send`, send() would take a frame. The
  // descriptors do not tell this again after another call has noticed it.
  virtual bool is_ready(bool to_send) = 0;
  // Descriptors that become readable when a frame arrives, when the connection is lost, or when
  // the socket takes frames again; valid as long as the transport. May be none in tests.
  virtual std::vector<int> descriptors() const = 0;
};

// Starts connections to one endpoint; make_client_connector() makes the real one.
class ClientConnector {
 public:
  virtual ~ClientConnector() = default;
  // Starts a connection and returns at once.
  virtual StatusOr<std::unique_ptr<ClientTransport>> start() = 0;
};

}  // namespace trireme
