// What waits to be sent to one client: pieces of this turn, what a stream's credit does not yet
// allow, and frames that the transport did not take. Used by the front door, in the loop's thread.
// Invariants: parts of one stream leave in the order in which they came; at most `max_bytes` wait.
#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/clock.h"
#include "coordinator/doors/peer.h"
#include "proto/client_codec.h"
#include "proto/client_messages.h"

namespace trireme {

class ClientOutbox {
 public:
  enum class State : uint8_t {
    kOpen,
    kGone,      // the peer is not there any more
    kOverfull,  // more than max_bytes wait for a reader that does not read
  };

  // `sender` and `codec` outlive the outbox.
  ClientOutbox(PeerId peer, PeerSender* sender, ClientCodec* codec, int64_t max_bytes);

  void open(uint64_t tag, int64_t credit_bytes);
  void grant(uint64_t tag, int64_t bytes);
  void close(uint64_t tag);  // drops what is held for it
  bool has(uint64_t tag) const { return streams_.contains(tag); }

  // A part of the stream `tag`, sent as soon as its credit is above 0, of which it takes `cost`.
  // Part: door::Piece, door::PromptLogprobs, door::ProbeValues or door::Finished (the stream's
  // last if `last`: the stream closes when it has left).
  void add(uint64_t tag, door::Piece piece);
  void add(uint64_t tag, door::ToClient message, int64_t cost, bool last);

  // What needs no credit.
  void say(const door::ToClient& message);

  // Sends the pieces of this turn as one frame, then what was parked, as far as it is taken.
  void flush(TimeUs now_us);

  State state() const { return state_; }
  bool is_parked() const { return !parked_.empty(); }
  TimeUs parked_since_us() const { return parked_since_us_; }
  int64_t waiting_bytes() const { return waiting_bytes_; }

 private:
  struct Part {
    door::ToClient message;  // a Tokens with one piece, or one of the others
    int64_t cost = 0;
    int64_t bytes = 0;  // what it takes here while it is held
    bool last = false;
  };
  struct Stream {
    int64_t credit_bytes = 0;
    std::deque<Part> held;
  };

  void pass(Part part);
  void release(uint64_t tag, Stream& stream);
  void hold(Stream& stream, Part part);
  void send_pieces();
  void transmit(const door::ToClient& message);
  void park(std::string frame);

  const PeerId peer_;
  PeerSender* const sender_;
  ClientCodec* const codec_;
  const int64_t max_bytes_;
  State state_ = State::kOpen;
  std::unordered_map<uint64_t, Stream> streams_;
  door::Tokens pieces_;  // of this turn
  std::deque<std::string> parked_;
  TimeUs parked_since_us_ = 0;  // nothing of `parked_` was taken since
  int64_t waiting_bytes_ = 0;   // held and parked
  std::string frame_;
};

}  // namespace trireme
