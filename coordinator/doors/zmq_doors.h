// The coordinator's end of the wire: both doors (ZeroMQ ROUTERs), what watches them, and the one
// wait of the loop. All calls belong to the loop's thread, but wake().
//
// A peer is one connection of one ROUTER: frames are mapped by their socket to the monitor's
// DISCONNECTED, so that on_gone follows a death by a fraction of a millisecond.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "coordinator/doors/peer.h"
#include "proto/worker_key.h"

namespace trireme {

struct DoorAddress {
  std::string host = "127.0.0.1";
  int port = 0;  // 0: the system chooses
};

struct ZmqDoorsOptions {
  DoorAddress clients;
  DoorAddress workers;
  bool insecure_clients = false;  // allows the client door off loopback, without a key
  std::string state_dir;          // where worker.key goes when the worker door leaves loopback
  bool always_curve = false;      // CURVE on a loopback worker door, too
  std::vector<int> watch_fds;     // signals, standard input
};

bool is_loopback(const std::string& host);

class ZmqDoors {
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

  // TRI-NET-010: a port in use; 011: an address that cannot be listened on; 012: the client door
  // off loopback without --insecure; 013: the worker door would take an unknown key; 015: the key
  // file cannot be written.
  static StatusOr<std::unique_ptr<ZmqDoors>> open(const ZmqDoorsOptions& options);
  ~ZmqDoors();

  PeerSender& clients();
  PeerSender& workers();
  const std::string& client_endpoint() const;
  const std::string& worker_endpoint() const;
  // "" where the worker door needs none.
  const std::string& worker_key_file() const;

  // Ends the wait of turn(). Any thread.
  void wake();

  // Waits at most `timeout_us` for anything, then hands over what came, bounded per call.
  void turn(int64_t timeout_us, Handler& handler);

 private:
  struct Wires;
  explicit ZmqDoors(std::unique_ptr<Wires> wires);
  std::unique_ptr<Wires> wires_;
};

}  // namespace trireme
