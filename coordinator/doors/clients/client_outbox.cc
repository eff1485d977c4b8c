#include "coordinator/doors/clients/client_outbox.h"

#include <utility>

#include "proto/credit.h"
#include "proto/piece_cost.h"

namespace trireme {
namespace {

// Pieces are joined into one frame up to this size. A client that grants credit to many streams at
// once would otherwise get a frame above kMaxToClientBytes, which ends its connection.
constexpr int64_t kMaxPiecesBytes = kMaxToClientBytes / 4;
constexpr int64_t kPieceOverhead = 256;  // bytes of a piece besides its cost, rounded up

}  // namespace

ClientOutbox::ClientOutbox(PeerId peer, PeerSender* sender, ClientCodec* codec, int64_t max_bytes)
    : peer_(peer), sender_(sender), codec_(codec), max_bytes_(max_bytes) {}

void ClientOutbox::add(door::Piece piece) {
  pieces_bytes_ += cost_of(piece) + kPieceOverhead;
  pieces_.pieces.push_back(std::move(piece));
  if (pieces_bytes_ > kMaxPiecesBytes) send_pieces();
}

void ClientOutbox::send(const door::ToClient& message) {
  send_pieces();
  transmit(message);
}

void ClientOutbox::send_pieces() {
  if (pieces_.pieces.empty()) return;
  transmit(std::move(pieces_));
  pieces_.pieces.clear();
  pieces_bytes_ = 0;
}

void ClientOutbox::transmit(const door::ToClient& message) {
  if (state_ != State::kOpen) return;
  codec_->encode(message, frame_);
  if (!parked_.empty()) {
    park(frame_);
    return;
  }
  switch (sender_->send(peer_, frame_)) {
    case SendOutcome::kSent:
      return;
    case SendOutcome::kFull:
      park(frame_);
      return;
    case SendOutcome::kGone:
      state_ = State::kGone;
      return;
  }
}

void ClientOutbox::park(std::string frame) {
  parked_bytes_ += static_cast<int64_t>(frame.size());
  parked_.push_back(std::move(frame));
  if (parked_bytes_ > max_bytes_) state_ = State::kOverfull;
}

void ClientOutbox::flush(TimeUs now_us) {
  if (!parked_at_flush_) parked_since_us_ = now_us;
  send_pieces();
  while (state_ == State::kOpen && !parked_.empty()) {
    const SendOutcome outcome = sender_->send(peer_, parked_.front());
    if (outcome == SendOutcome::kGone) state_ = State::kGone;
    if (outcome != SendOutcome::kSent) break;
    parked_bytes_ -= static_cast<int64_t>(parked_.front().size());
    parked_.pop_front();
    parked_since_us_ = now_us;
  }
  parked_at_flush_ = !parked_.empty();
}

}  // namespace trireme
