#include "coordinator/doors/clients/client_outbox.h"

#include <gtest/gtest.h>

#include "proto/frame.h"
#include "tests/coordinator/fake_sender.h"

namespace trireme {
namespace client_outbox_test {

constexpr PeerId kPeer = 5;

door::Pong pong(uint64_t nonce) {
  door::Pong pong;
  pong.nonce = nonce;
  return pong;
}

class ClientOutboxTest : public testing::Test {
 protected:
  void add(uint64_t tag, int32_t index, const std::string& text = "x") {
    door::Piece piece;
    piece.tag = tag;
    piece.first_index = index;
    piece.token_ids = {1};
    piece.text = text;
    outbox_.add(std::move(piece));
  }
  std::vector<door::ToClient> sent() {
    std::vector<door::ToClient> messages;
    for (const std::string& frame : sender_.take(kPeer)) {
      messages.push_back(codec_.decode_to_client(frame).value());
    }
    return messages;
  }
  FakeSender sender_;
  ClientCodec codec_;
  ClientOutbox outbox_{kPeer, &sender_, &codec_, 10'000};
};

TEST_F(ClientOutboxTest, PiecesOfOneTurnNeverMakeAFrameThatAClientRefuses) {
  constexpr int64_t kPieceBytes = 1 << 20;
  ClientOutbox outbox(kPeer, &sender_, &codec_, 2 * kMaxToClientBytes);
  for (int i = 0; i < 24; ++i) {  // 24 MiB
    door::Piece piece;
    piece.tag = static_cast<uint64_t>(i + 1);
    piece.token_ids = {1};
    piece.text = std::string(kPieceBytes, 'a');
    outbox.add(std::move(piece));
  }
  outbox.flush(1);
  size_t bytes = 0;
  for (const std::string& frame : sender_.sent[kPeer]) {
    EXPECT_LE(frame.size(), static_cast<size_t>(kMaxToClientBytes));
    bytes += frame.size();
  }
  EXPECT_GT(bytes, static_cast<size_t>(24 * kPieceBytes));
}

TEST_F(ClientOutboxTest, PiecesOfOneTurnLeaveInOneFrame) {
  add(1, 0);
  add(2, 0);
  EXPECT_TRUE(sender_.sent[kPeer].empty());
  outbox_.flush(1);
  const auto messages = sent();
  ASSERT_EQ(messages.size(), 1u);
  EXPECT_EQ(std::get<door::Tokens>(messages[0]).pieces.size(), 2u);
}

TEST_F(ClientOutboxTest, AMessageFollowsThePiecesBeforeIt) {
  add(1, 0);
  outbox_.send(pong(9));
  const auto messages = sent();
  ASSERT_EQ(messages.size(), 2u);
  EXPECT_TRUE(std::holds_alternative<door::Tokens>(messages[0]));
  EXPECT_TRUE(std::holds_alternative<door::Pong>(messages[1]));
}

TEST_F(ClientOutboxTest, ParkedFramesLeaveInOrderAndTheTimeOfTheLastSuccessIsKept) {
  sender_.room[kPeer] = 1;
  for (uint64_t nonce = 1; nonce <= 3; ++nonce) outbox_.send(pong(nonce));
  EXPECT_TRUE(outbox_.is_parked());
  sender_.room[kPeer] = 1;
  outbox_.flush(100);
  EXPECT_EQ(outbox_.parked_since_us(), 100);
  outbox_.flush(200);  // full
  EXPECT_EQ(outbox_.parked_since_us(), 100);
  sender_.room.erase(kPeer);
  outbox_.flush(300);
  EXPECT_FALSE(outbox_.is_parked());
  const auto messages = sent();
  ASSERT_EQ(messages.size(), 3u);
  for (uint64_t i = 0; i < 3; ++i) EXPECT_EQ(std::get<door::Pong>(messages[i]).nonce, i + 1);
}

TEST_F(ClientOutboxTest, FramesThatTheFirstFlushParksWaitSinceThatFlush) {
  constexpr TimeUs kNowUs = 3'600'000'000;
  sender_.room[kPeer] = 0;
  for (uint64_t nonce = 1; nonce <= 300; ++nonce) outbox_.send(pong(nonce));
  outbox_.flush(kNowUs);
  EXPECT_TRUE(outbox_.is_parked());
  EXPECT_EQ(outbox_.parked_since_us(), kNowUs);
  outbox_.flush(kNowUs + 5);
  EXPECT_EQ(outbox_.parked_since_us(), kNowUs);
  sender_.room.erase(kPeer);
  outbox_.flush(kNowUs + 10);
  sender_.room[kPeer] = 0;
  outbox_.send(pong(301));
  outbox_.flush(kNowUs + 20);
  EXPECT_EQ(outbox_.parked_since_us(), kNowUs + 20);
}

TEST_F(ClientOutboxTest, MoreParkedBytesThanItsBoundMakeItOverfull) {
  sender_.room[kPeer] = 0;
  add(1, 0, std::string(5'000, 'x'));
  outbox_.flush(1);
  EXPECT_EQ(outbox_.state(), ClientOutbox::State::kOpen);
  add(1, 1, std::string(5'000, 'x'));
  outbox_.flush(2);
  EXPECT_EQ(outbox_.state(), ClientOutbox::State::kOverfull);
}

TEST_F(ClientOutboxTest, APeerThatIsGoneEndsIt) {
  sender_.gone.insert(kPeer);
  outbox_.send(pong(1));
  EXPECT_EQ(outbox_.state(), ClientOutbox::State::kGone);
}

}  // namespace client_outbox_test
}  // namespace trireme
