// The connection under a Client: one transport after another, the frames that its socket has not
// taken, and the delays between attempts. Knows frames, not messages. Used by the Client's thread;
// nothing blocks but wait().
#pragma once

#include <deque>
#include <memory>
#include <optional>
#include <string>

#include "base/clock.h"
#include "base/status.h"
#include "clients/cpp/backoff.h"
#include "clients/cpp/client_options.h"
#include "clients/cpp/client_transport.h"
#include "clients/cpp/wake_descriptor.h"

namespace trireme {

class ClientConnection {
 public:
  // `connector` null: `transport` is the only connection.
  ClientConnection(std::unique_ptr<ClientConnector> connector,
                   std::unique_ptr<ClientTransport> transport,
                   const ClientOptions& options,
                   WakeDescriptor wake);

  bool reconnects() const { return connector_ != nullptr; }
  bool has_transport() const { return transport_ != nullptr; }

  // Starts a connection if one is due. Returns whether it did: the caller has to say Hello.
  bool start_if_due();
  // Drops the connection with its unsent frames; the next attempt is due after a delay.
  void lose();
  // The coordinator has welcomed this connection: the next delay is the first again.
  void note_welcome() { backoff_.reset(); }
  // Drops the connection for ever.
  void close();

  // Sends the frame, or queues it behind those that are unsent; it is moved from only then.
  void send(std::string& frame);
  void flush();
  int64_t unsent_bytes() const { return unsent_bytes_; }
  bool has_unsent() const { return !unsent_.empty(); }
  // When the oldest unsent frame has waited for too long; nothing while all are sent.
  std::optional<TimeUs> stuck_us() const;

  // The next frame, or nothing. TRI-NET-031: the connection was lost.
  StatusOr<std::optional<std::string>> receive();

  std::optional<TimeUs> retry_us() const { return retry_us_; }

  int descriptor() const { return wake_.get(); }
  // Makes the descriptor readable if frames have arrived or can be sent, or if there is `more`.
  void update_descriptor(bool more);
  bool wait(int timeout_ms) const { return wake_.wait(timeout_ms); }

 private:
  const ClientOptions options_;
  Clock& clock_;
  const std::unique_ptr<ClientConnector> connector_;
  std::unique_ptr<ClientTransport> transport_;  // null: between two connections, or closed
  WakeDescriptor wake_;
  Backoff backoff_;
  std::optional<TimeUs> retry_us_;  // the next attempt, between two connections
  std::deque<std::string> unsent_;
  int64_t unsent_bytes_ = 0;
  TimeUs waiting_since_us_ = 0;  // the oldest unsent frame
};

}  // namespace trireme
