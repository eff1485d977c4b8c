// PeerSender of tests: keeps the frames that were sent; a test can limit a peer's queue or end it.
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "coordinator/doors/peer.h"

namespace trireme {

class FakeSender final : public PeerSender {
 public:
  SendOutcome send(PeerId peer, const std::string& frame) override {
    if (gone.contains(peer)) return SendOutcome::kGone;
    const auto limit = room.find(peer);
    if (limit != room.end() && limit->second-- <= 0) {
      limit->second = 0;
      return SendOutcome::kFull;
    }
    sent[peer].push_back(frame);
    return SendOutcome::kSent;
  }

  std::string address_of(PeerId peer) const override {
    const auto found = addresses.find(peer);
    return found == addresses.end() ? "" : found->second;
  }

  std::vector<std::string> take(PeerId peer) { return std::exchange(sent[peer], {}); }

  std::map<PeerId, std::vector<std::string>> sent;
  std::map<PeerId, int> room;  // frames that a peer takes before it is full
  std::set<PeerId> gone;
  std::map<PeerId, std::string> addresses;
};

}  // namespace trireme
