// The far end of a connection, as the logic behind a door sees it: a number and a way to send. The
// transport numbers connections; a number is never reused.
#pragma once

#include <cstdint>
#include <string>

namespace trireme {

using PeerId = uint64_t;

enum class SendOutcome : uint8_t {
  kSent,
  kFull,  // its send queue is full: retry later
  kGone,  // the connection has ended
};

class PeerSender {
 public:
  virtual ~PeerSender() = default;
  virtual SendOutcome send(PeerId peer, const std::string& frame) = 0;
  // The network address of its host; "": this host, or unknown.
  virtual std::string address_of(PeerId /*peer*/) const { return {}; }
};

}  // namespace trireme
