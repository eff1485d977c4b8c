#include "coordinator/doors/client_outbox.h"

#include <gtest/gtest.h>

#include "proto/credit.h"
#include "tests/coordinator/fake_sender.h"

namespace trireme {
namespace {

constexpr PeerId kPeer = 5;

class ClientOutboxTest : public testing::Test {
 protected:
  void add(uint64_t tag, int32_t index, const std::string& text = "x") {
    door::Piece piece;
    piece.tag = tag;
    piece.first_index = index;
    piece.token_ids = {1};
    piece.text = text;
    outbox_.add(tag, std::move(piece));
  }
  void finish(uint64_t tag) {
    door::Finished finished;
    finished.tag = tag;
    finished.last_choice = true;
    outbox_.add(tag, finished, 0, true);
  }
  std::vector<door::ToClient> sent() {
    std::vector<door::ToClient> messages;
    for (const std::string& frame : sender_.take(kPeer)) {
      messages.push_back(codec_.decode_to_client(frame).value());
    }
    return messages;
  }
  // The first indices of all pieces that were sent, in order.
  std::vector<int32_t> sent_indices() {
    std::vector<int32_t> indices;
    for (const door::ToClient& message : sent()) {
      const auto* tokens = std::get_if<door::Tokens>(&message);
      if (tokens == nullptr) continue;
      for (const door::Piece& piece : tokens->pieces) indices.push_back(piece.first_index);
    }
    return indices;
  }

  FakeSender sender_;
  ClientCodec codec_;
  ClientOutbox outbox_{kPeer, &sender_, &codec_, 10'000};
};

TEST_F(ClientOutboxTest, PiecesOfOneTurnNeverMakeAFrameThatAClientRefuses) {
  constexpr int64_t kPieceBytes = 1 << 20;
  ClientOutbox outbox(kPeer, &sender_, &codec_, 2 * kMaxToClientBytes);
  for (int i = 0; i < 24; ++i) {  // 24 MiB
    outbox.open(static_cast<uint64_t>(i + 1), 2 * kPieceBytes);
    door::Piece piece;
    piece.tag = static_cast<uint64_t>(i + 1);
    piece.token_ids = {1};
    piece.text = std::string(kPieceBytes, 'a');
    outbox.add(piece.tag, std::move(piece));
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
  outbox_.open(1, 1000);
  outbox_.open(2, 1000);
  add(1, 0);
  add(2, 0);
  EXPECT_TRUE(sender_.sent[kPeer].empty());
  outbox_.flush(1);
  const auto messages = sent();
  ASSERT_EQ(messages.size(), 1u);
  EXPECT_EQ(std::get<door::Tokens>(messages[0]).pieces.size(), 2u);
}

TEST_F(ClientOutboxTest, APieceIsSentWhileTheBalanceIsAboveZeroAndHeldAtZero) {
  const int64_t cost = piece_cost(1, 1, 0);
  outbox_.open(1, cost + 1);
  add(1, 0);
  add(1, 1);  // the balance is 1: it goes below 0
  add(1, 2);
  outbox_.flush(1);
  EXPECT_EQ(sent_indices(), (std::vector<int32_t>{0, 1}));
  EXPECT_GT(outbox_.waiting_bytes(), 0);
  outbox_.grant(1, cost - 1);  // the balance is 0
  outbox_.flush(2);
  EXPECT_TRUE(sent_indices().empty());
  outbox_.grant(1, 1);
  outbox_.flush(3);
  EXPECT_EQ(sent_indices(), (std::vector<int32_t>{2}));
  EXPECT_EQ(outbox_.waiting_bytes(), 0);
}

TEST_F(ClientOutboxTest, TheEndOfAStreamWaitsBehindWhatIsHeldAndClosesIt) {
  outbox_.open(1, 0);
  add(1, 0);
  finish(1);
  outbox_.flush(1);
  EXPECT_TRUE(sent().empty());
  EXPECT_TRUE(outbox_.has(1));
  outbox_.grant(1, 1000);
  outbox_.flush(2);
  const auto messages = sent();
  ASSERT_EQ(messages.size(), 2u);
  EXPECT_TRUE(std::holds_alternative<door::Finished>(messages[1]));
  EXPECT_FALSE(outbox_.has(1));
}

TEST_F(ClientOutboxTest, AStreamWithoutCreditHoldsUpNoOther) {
  outbox_.open(1, 0);
  outbox_.open(2, 1000);
  add(1, 10);
  add(2, 20);
  outbox_.flush(1);
  EXPECT_EQ(sent_indices(), (std::vector<int32_t>{20}));
}

TEST_F(ClientOutboxTest, AMessageThatNeedsNoCreditFollowsThePiecesBeforeIt) {
  outbox_.open(1, 1000);
  add(1, 0);
  outbox_.send(door::Pong{9});
  const auto messages = sent();
  ASSERT_EQ(messages.size(), 2u);
  EXPECT_TRUE(std::holds_alternative<door::Tokens>(messages[0]));
  EXPECT_TRUE(std::holds_alternative<door::Pong>(messages[1]));
}

TEST_F(ClientOutboxTest, ParkedFramesLeaveInOrderAndTheTimeOfTheLastSuccessIsKept) {
  sender_.room[kPeer] = 1;
  for (uint64_t nonce = 1; nonce <= 3; ++nonce) outbox_.send(door::Pong{nonce});
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
  for (uint64_t nonce = 1; nonce <= 300; ++nonce) outbox_.send(door::Pong{nonce});
  outbox_.flush(kNowUs);
  EXPECT_TRUE(outbox_.is_parked());
  EXPECT_EQ(outbox_.parked_since_us(), kNowUs);
  outbox_.flush(kNowUs + 5);
  EXPECT_EQ(outbox_.parked_since_us(), kNowUs);
  sender_.room.erase(kPeer);
  outbox_.flush(kNowUs + 10);
  sender_.room[kPeer] = 0;
  outbox_.send(door::Pong{301});
  outbox_.flush(kNowUs + 20);
  EXPECT_EQ(outbox_.parked_since_us(), kNowUs + 20);
}

TEST_F(ClientOutboxTest, MoreThanItsBytesMakeItOverfull) {
  outbox_.open(1, 0);
  add(1, 0, std::string(5'000, 'x'));
  EXPECT_EQ(outbox_.state(), ClientOutbox::State::kOpen);
  add(1, 1, std::string(5'000, 'x'));
  EXPECT_EQ(outbox_.state(), ClientOutbox::State::kOverfull);
}

TEST_F(ClientOutboxTest, ClosingAStreamFreesItsBytesAndDropsLaterParts) {
  outbox_.open(1, 0);
  add(1, 0);
  outbox_.close(1);
  EXPECT_EQ(outbox_.waiting_bytes(), 0);
  add(1, 1);
  outbox_.grant(1, 1000);
  outbox_.flush(1);
  EXPECT_TRUE(sent().empty());
}

TEST_F(ClientOutboxTest, APeerThatIsGoneEndsIt) {
  sender_.gone.insert(kPeer);
  outbox_.send(door::Pong{1});
  EXPECT_EQ(outbox_.state(), ClientOutbox::State::kGone);
}

}  // namespace
}  // namespace trireme
