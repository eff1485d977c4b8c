// The far end of a door's connection, as the logic behind the door sees it: a number and a way to
// send. The link numbers connections; a number is never reused.
#pragma once

#include <cstdint>
#include <string>

namespace trireme {

using PeerId = uint64_t;

enum class SendOutcome : uint8_t {
  kSent,
  kFull,  // its queue is full: try again later
  kGone,  // nobody there any more
};

class PeerSender {
 public:
  virtual ~PeerSender() = default;
  virtual SendOutcome send(PeerId peer, const std::string& frame) = 0;
};

}  // namespace trireme
