// Messages on their way to one client: the pieces of this turn, which leave as one frame; parts
// held until their stream has credit; frames parked because the transport's queue was full. Used by
// the front door in the loop's thread.
// Invariants: parts of one stream leave in order; held and parked bytes stay below `max_bytes`, or
// the state is kOverfull.
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
    kGone,      // the connection has ended
    kOverfull,  // more than max_bytes wait: the client does not read
  };

  // `sender` and `codec` outlive the outbox.
  ClientOutbox(PeerId peer, PeerSender* sender, ClientCodec* codec, int64_t max_bytes);

  void open(uint64_t tag, int64_t credit_bytes);
  void grant(uint64_t tag, int64_t bytes);
  void close(uint64_t tag);  // drops its held parts
  bool has(uint64_t tag) const { return streams_.contains(tag); }

  // Adds a part of stream `tag`. It leaves while the stream's credit is above 0 and then lowers the
  // credit by `cost` (proto/credit.h). A part is a Piece, PromptLogprobs, ProbeValues or Finished;
  // after the one with `last` the stream closes.
  void add(uint64_t tag, door::Piece piece);
  void add(uint64_t tag, door::ToClient message, int64_t cost, bool last);

  // Sends a message that needs no credit, after the pieces of this turn.
  void send(const door::ToClient& message);

  // Sends the pieces of this turn as one frame, then parked frames until the transport is full.
  void flush(TimeUs now_us);

  PeerId peer() const { return peer_; }
  State state() const { return state_; }
  bool is_parked() const { return !parked_.empty(); }
  TimeUs parked_since_us() const { return parked_since_us_; }
  int64_t waiting_bytes() const { return waiting_bytes_; }

 private:
  struct Part {
    door::ToClient message;  // a Tokens with one piece, or one of the others
    int64_t cost = 0;
    int64_t bytes = 0;  // of memory while it is held
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
  int64_t pieces_bytes_ = 0;
  std::deque<std::string> parked_;
  bool parked_at_flush_ = false;  // the last flush() left frames
  // When the transport last took a frame of `parked_`, or the first flush() that they waited for.
  TimeUs parked_since_us_ = 0;
  int64_t waiting_bytes_ = 0;  // held and parked
  std::string frame_;
};

}  // namespace trireme
