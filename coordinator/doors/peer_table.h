// Numbers the connections of one ROUTER socket. ZeroMQ names a peer by its routing id, the monitor
// names a connection by its socket's file descriptor; both are reused, a PeerId never is. A peer
// whose connection has ended stays known until the frames that it sent before have been read: the
// last one often says why it left. Pure bookkeeping in the loop's thread.
// Invariant: a routing id belongs to at most one peer, a descriptor to at most one that has not
// ended.
#pragma once

#include <string>
#include <unordered_map>
#include <vector>

#include "coordinator/doors/peer.h"

namespace trireme {

class PeerTable {
 public:
  struct Peer {
    std::string routing_id;
    int fd = -1;
    bool delimiter = false;  // it sends an empty frame first (REQ sockets) and expects one
    std::string address;     // of its host; "": this one, or unknown
  };

  // From the monitor's events, in their order.
  void accepted(int fd);
  void disconnected(int fd);

  // The peer of a frame if it is known: the same routing id on the same descriptor. 0: it is not.
  PeerId known(const std::string& routing_id, int fd) const;
  // A new peer. The peers that had this routing id or descriptor before are gone.
  PeerId add(const std::string& routing_id, int fd, std::vector<PeerId>& gone);
  // The peers whose connections have ended are gone: all frames that were queued have been read.
  void forget_ended(std::vector<PeerId>& gone);

  Peer* find(PeerId peer);
  const Peer* find(PeerId peer) const;

 private:
  struct Wire {  // one accepted descriptor
    bool alive = false;
    PeerId peer = 0;  // 0: nothing was sent on it
  };

  void forget(PeerId peer, std::vector<PeerId>& gone);
  void end(Wire& wire);

  std::unordered_map<PeerId, Peer> peers_;
  std::unordered_map<std::string, PeerId> by_routing_id_;
  std::unordered_map<int, Wire> wires_;  // bounded by the descriptors that are open at once
  std::vector<PeerId> ended_;
  PeerId next_peer_ = 1;
};

}  // namespace trireme
