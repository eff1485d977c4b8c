// The loop's view of the wire: one wait for frames of both doors, lost connections and watched file
// descriptors. ZmqDoors implements it; a test may hand over frames without sockets.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "coordinator/doors/peer.h"

namespace trireme {

// Where the doors listen.
struct DoorEndpoints {
  std::string client;
  std::string worker;
  std::string worker_key_file;  // "": the worker door is not encrypted
};

class Transport {
 public:
  class Handler {
   public:
    virtual ~Handler() = default;
    virtual void on_client_frame(PeerId peer, std::string_view frame) = 0;
    virtual void on_client_gone(PeerId peer) = 0;
    virtual void on_worker_frame(PeerId peer, std::string_view frame) = 0;
    virtual void on_worker_gone(PeerId peer) = 0;
    virtual void on_readable(int fd) = 0;
  };

  virtual ~Transport() = default;
  // Waits at most `timeout_us` for any of these, then calls `handler` for each, bounded per call.
  virtual void turn(int64_t timeout_us, Handler& handler) = 0;
};

}  // namespace trireme
