#include "coordinator/doors/peer_table.h"

#include <utility>

namespace trireme {

void PeerTable::accepted(int fd) {
  Wire& wire = wires_[fd];
  end(wire);
  wire.alive = true;
}

void PeerTable::disconnected(int fd) {
  Wire& wire = wires_[fd];
  end(wire);
  wire.alive = false;
}

void PeerTable::end(Wire& wire) {
  if (wire.peer != 0) ended_.push_back(wire.peer);
  wire.peer = 0;
}

PeerId PeerTable::known(const std::string& routing_id, int fd) const {
  const auto found = by_routing_id_.find(routing_id);
  if (found == by_routing_id_.end() || peers_.at(found->second).fd != fd) return 0;
  return found->second;
}

PeerId PeerTable::add(const std::string& routing_id, int fd, std::vector<PeerId>& gone) {
  const auto old = by_routing_id_.find(routing_id);
  if (old != by_routing_id_.end()) forget(old->second, gone);
  Wire& wire = wires_[fd];
  forget(wire.peer, gone);
  const PeerId peer = next_peer_++;
  wire.peer = peer;
  peers_[peer] = {routing_id, fd, false, ""};
  by_routing_id_[routing_id] = peer;
  if (!wire.alive) end(wire);
  return peer;
}

void PeerTable::forget_ended(std::vector<PeerId>& gone) {
  for (const PeerId peer : std::exchange(ended_, {})) forget(peer, gone);
}

PeerTable::Peer* PeerTable::find(PeerId peer) {
  const auto found = peers_.find(peer);
  return found == peers_.end() ? nullptr : &found->second;
}

const PeerTable::Peer* PeerTable::find(PeerId peer) const {
  const auto found = peers_.find(peer);
  return found == peers_.end() ? nullptr : &found->second;
}

void PeerTable::forget(PeerId peer, std::vector<PeerId>& gone) {
  const auto found = peers_.find(peer);
  if (found == peers_.end()) return;
  by_routing_id_.erase(found->second.routing_id);
  Wire& wire = wires_[found->second.fd];
  if (wire.peer == peer) wire.peer = 0;
  peers_.erase(found);
  gone.push_back(peer);
}

}  // namespace trireme
