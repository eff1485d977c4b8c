// Messages on their way to one client: the pieces of this turn, which leave as one frame, and
// frames parked because the transport's queue was full. Used by the front door in the loop's
// thread. Credit is the Engine's: what it sends may leave. While frames are parked it sends no
// more. Invariants: messages leave in order; parked bytes stay below `max_bytes`, or the state is
// kOverfull.
#pragma once

#include <cstdint>
#include <deque>
#include <string>

#include "base/clock.h"
#include "coordinator/doors/peer.h"
#include "proto/client_codec.h"
#include "proto/client_messages.h"

namespace trireme {

class ClientOutbox {
 public:
  enum class State : uint8_t {
    kOpen,
    kGone,      // the connection has ended
    kOverfull,  // more than max_bytes wait: the client does not read
  };

  // `sender` and `codec` outlive the outbox.
  ClientOutbox(PeerId peer, PeerSender* sender, ClientCodec* codec, int64_t max_bytes);

  // Joins the pieces of this turn.
  void add(door::Piece piece);
  // Sends a message after the pieces of this turn.
  void send(const door::ToClient& message);
  // Sends the pieces of this turn as one frame, then parked frames until the transport is full.
  void flush(TimeUs now_us);

  PeerId peer() const { return peer_; }
  State state() const { return state_; }
  bool is_parked() const { return !parked_.empty(); }
  TimeUs parked_since_us() const { return parked_since_us_; }
  int64_t waiting_bytes() const { return parked_bytes_; }

 private:
  void send_pieces();
  void transmit(const door::ToClient& message);
  void park(std::string frame);

  const PeerId peer_;
  PeerSender* const sender_;
  ClientCodec* const codec_;
  const int64_t max_bytes_;
  State state_ = State::kOpen;
  door::Tokens pieces_;  // of this turn
  int64_t pieces_bytes_ = 0;
  std::deque<std::string> parked_;
  int64_t parked_bytes_ = 0;
  bool parked_at_flush_ = false;  // the last flush() left frames
  // When the transport last took a frame of `parked_`, or the first flush() that they waited for.
  TimeUs parked_since_us_ = 0;
  std::string frame_;
};

}  // namespace trireme
