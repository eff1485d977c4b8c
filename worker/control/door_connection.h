// The ZeroMQ connection of a rank to the coordinator's worker door: one DEALER socket with its
// monitor, and an event that wakes the thread which waits for them. Frames are opaque here.
// Used by the control thread alone, but for wake(). Connects in the background, and again after
// reopen(); nothing here blocks except wait().
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/status.h"
#include "proto/worker_key.h"

namespace trireme {

class DoorConnection {
 public:
  DoorConnection();
  ~DoorConnection();

  // TRI-GRP-015: `endpoint` is not one. `key`: CURVE.
  Status connect(const std::string& endpoint, const std::optional<WorkerKey>& key);
  // Forgets the connection that was lost, with all frames that it still had, and connects again
  // under a fresh identity.
  void reopen();

  // Waits for a frame, a change of the connection or wake(); with `has_frame`, also until the
  // socket takes a frame. At most `timeout_ms`.
  void wait(bool has_frame, int timeout_ms);
  // Ends wait(). From any thread.
  void wake();
  // An eventfd: a count written to it is a call of wake().
  int wake_fd() const;

  // As of the last wait().
  bool is_connected() const;  // has been since connect() or reopen()
  bool is_lost() const;       // was connected since then, and the connection has ended
  bool is_refused() const;    // the coordinator does not accept the key

  // The next frame, valid until the next call; nothing if none has come.
  std::optional<std::string_view> receive();
  // False: the socket takes none now.
  bool send(const std::string& frame);
  // Lets the last frames leave, for at most the socket's linger. Nothing may be called after it.
  void close();

 private:
  struct Sockets;
  std::unique_ptr<Sockets> sockets_;
};

}  // namespace trireme
