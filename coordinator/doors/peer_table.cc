#include "coordinator/doors/peer_table.h"

namespace trireme {

void PeerTable::disconnected(int fd, std::vector<PeerId>& gone) {
  Wire& wire = wires_[fd];
  wire.alive = false;
  forget(wire.peer, gone);
}

PeerId PeerTable::known(const std::string& routing_id, int fd) const {
  const auto found = by_routing_id_.find(routing_id);
  if (found == by_routing_id_.end() || peers_.at(found->second).fd != fd) return 0;
  return found->second;
}

PeerId PeerTable::add(const std::string& routing_id, int fd, std::vector<PeerId>& gone) {
  const auto old = by_routing_id_.find(routing_id);
  if (old != by_routing_id_.end()) forget(old->second, gone);
  forget(wires_[fd].peer, gone);
  const PeerId peer = next_peer_++;
  wires_[fd].peer = peer;
  peers_[peer] = {routing_id, fd, false};
  by_routing_id_[routing_id] = peer;
  return peer;
}

void PeerTable::forget_if_ended(PeerId peer, std::vector<PeerId>& gone) {
  const Peer* const found = find(peer);
  if (found == nullptr) return;
  const auto wire = wires_.find(found->fd);
  if (wire != wires_.end() && !wire->second.alive) forget(peer, gone);
}

PeerTable::Peer* PeerTable::find(PeerId peer) {
  const auto found = peers_.find(peer);
  return found == peers_.end() ? nullptr : &found->second;
}

void PeerTable::forget(PeerId peer, std::vector<PeerId>& gone) {
  const auto found = peers_.find(peer);
  if (found == peers_.end()) return;
  by_routing_id_.erase(found->second.routing_id);
  wires_[found->second.fd].peer = 0;
  peers_.erase(found);
  gone.push_back(peer);
}

}  // namespace trireme
