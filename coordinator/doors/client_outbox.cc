#include "coordinator/doors/client_outbox.h"

#include "proto/credit.h"

namespace trireme {
namespace {

constexpr int64_t kPartOverhead = 256;  // bytes of Part and deque per held part, rounded up

// Pieces are joined into one frame up to this size. A client that grants credit to many streams at
// once would otherwise get a frame above kMaxToClientBytes, which ends its connection.
constexpr int64_t kMaxPiecesBytes = kMaxToClientBytes / 4;

int64_t num_pairs(const std::vector<door::TokenLogprob>& logprobs) {
  int64_t pairs = 0;
  for (const door::TokenLogprob& entry : logprobs) {
    pairs += 1 + static_cast<int64_t>(entry.top.size());
  }
  return pairs;
}

}  // namespace

ClientOutbox::ClientOutbox(PeerId peer, PeerSender* sender, ClientCodec* codec, int64_t max_bytes)
    : peer_(peer), sender_(sender), codec_(codec), max_bytes_(max_bytes) {}

void ClientOutbox::open(uint64_t tag, int64_t credit_bytes) {
  streams_[tag].credit_bytes = credit_bytes;
}

void ClientOutbox::grant(uint64_t tag, int64_t bytes) {
  const auto found = streams_.find(tag);
  if (found == streams_.end()) return;
  Stream& stream = found->second;
  stream.credit_bytes = std::min(stream.credit_bytes + bytes, kMaxCreditBytes);
  release(tag, stream);
}

void ClientOutbox::close(uint64_t tag) {
  const auto found = streams_.find(tag);
  if (found == streams_.end()) return;
  for (const Part& part : found->second.held) waiting_bytes_ -= part.bytes;
  streams_.erase(found);
}

void ClientOutbox::add(uint64_t tag, door::Piece piece) {
  const int64_t cost = piece_cost(static_cast<int64_t>(piece.token_ids.size()),
                                  static_cast<int64_t>(piece.text.size()),
                                  num_pairs(piece.logprobs));
  door::Tokens tokens;
  tokens.pieces.push_back(std::move(piece));
  add(tag, std::move(tokens), cost, false);
}

void ClientOutbox::add(uint64_t tag, door::ToClient message, int64_t cost, bool last) {
  const auto found = streams_.find(tag);
  if (found == streams_.end() || state_ != State::kOpen) return;
  Stream& stream = found->second;
  Part part{std::move(message), cost, cost + kPartOverhead, last};
  if (!stream.held.empty() || (stream.credit_bytes <= 0 && cost > 0)) {
    hold(stream, std::move(part));
    return;
  }
  stream.credit_bytes -= cost;
  pass(std::move(part));
  if (last) streams_.erase(tag);
}

// Held parts are not merged: client and Engine charge credit per part, and merged parts would cost
// less than theirs.
void ClientOutbox::hold(Stream& stream, Part part) {
  waiting_bytes_ += part.bytes;
  stream.held.push_back(std::move(part));
  if (waiting_bytes_ > max_bytes_) state_ = State::kOverfull;
}

void ClientOutbox::release(uint64_t tag, Stream& stream) {
  while (!stream.held.empty() && (stream.credit_bytes > 0 || stream.held.front().cost == 0)) {
    Part part = std::move(stream.held.front());
    stream.held.pop_front();
    waiting_bytes_ -= part.bytes;
    stream.credit_bytes -= part.cost;
    const bool last = part.last;
    pass(std::move(part));
    if (last) {
      close(tag);
      return;
    }
  }
}

void ClientOutbox::pass(Part part) {
  if (auto* tokens = std::get_if<door::Tokens>(&part.message)) {
    pieces_.pieces.push_back(std::move(tokens->pieces[0]));
    pieces_bytes_ += part.bytes;
    if (pieces_bytes_ > kMaxPiecesBytes) send_pieces();
    return;
  }
  send(part.message);
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
  waiting_bytes_ += static_cast<int64_t>(frame.size());
  parked_.push_back(std::move(frame));
  if (waiting_bytes_ > max_bytes_) state_ = State::kOverfull;
}

void ClientOutbox::flush(TimeUs now_us) {
  if (!parked_at_flush_) parked_since_us_ = now_us;
  send_pieces();
  while (state_ == State::kOpen && !parked_.empty()) {
    const SendOutcome outcome = sender_->send(peer_, parked_.front());
    if (outcome == SendOutcome::kGone) state_ = State::kGone;
    if (outcome != SendOutcome::kSent) break;
    waiting_bytes_ -= static_cast<int64_t>(parked_.front().size());
    parked_.pop_front();
    parked_since_us_ = now_us;
  }
  parked_at_flush_ = !parked_.empty();
}

}  // namespace trireme
