// The two doors as ZeroMQ ROUTER sockets with their monitors, and the loop's one wait on them.
// All calls but wake() belong to the loop's thread.
//
// A peer is one connection of one ROUTER. A frame carries the file descriptor that it came on; the
// monitor's DISCONNECTED event names the same descriptor, so that on_gone follows the end of a
// connection within a millisecond (peer_table.h).
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "coordinator/doors/peer.h"
#include "coordinator/doors/transport.h"
#include "proto/worker_key.h"

namespace trireme {

struct DoorAddress {
  std::string host = "127.0.0.1";
  int port = 0;  // 0: any free one, where there is one outside those of connections
};

struct ZmqDoorsOptions {
  DoorAddress clients;
  DoorAddress workers;
  bool insecure_clients = false;  // allow a client door off loopback; it has no keys
  std::string state_dir;          // folder of the key files, if the worker door is encrypted
  bool keep_worker_key = false;   // the key there is of this launch: use it again
  bool always_curve = false;      // encrypt (CURVE) the worker door on loopback, too
  std::vector<int> watch_fds;     // signals, standard input
};

bool is_loopback(const std::string& host);

class ZmqDoors final : public Transport {
 public:
  // TRI-NET-010: a port is in use; 011: an address cannot be bound; 012: the client door is off
  // loopback without --insecure; 013: the worker door accepts an unknown key; 015: the key file
  // cannot be written; TRI-UP-044: the system gives no sockets.
  static StatusOr<std::unique_ptr<ZmqDoors>> open(const ZmqDoorsOptions& options);
  ~ZmqDoors() override;

  PeerSender& clients();
  PeerSender& workers();
  DoorEndpoints endpoints() const;

  // Ends the wait of turn(). Callable from any thread.
  void wake();

  void turn(int64_t timeout_us, Handler& handler) override;

 private:
  struct Wires;
  explicit ZmqDoors(std::unique_ptr<Wires> wires);
  std::unique_ptr<Wires> wires_;
};

}  // namespace trireme
