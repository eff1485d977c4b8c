// Connections that take no more frames, for a while or for good.
#include "tests/coordinator/front_door_fixture.h"

namespace trireme {
namespace front_door_slow_test {

TEST_F(FrontDoorTest, TheEngineIsToldWhetherAConnectionTakesFrames) {
  hello(1);
  accept(1, 7);
  sender_.room[1] = 0;
  tokens(1, 7, 0, {5}, "a");
  EXPECT_TRUE(heard(1).empty());
  ASSERT_EQ(output_.events.size(), 1u);
  EXPECT_EQ(std::get<event::Blocked>(output_.events[0]).connection, 1u);
  EXPECT_TRUE(door_->is_parked(1));
  output_.events.clear();
  EXPECT_TRUE(heard(1).empty());
  EXPECT_TRUE(output_.events.empty()) << "once";
  sender_.room.erase(1);
  EXPECT_EQ(heard(1).size(), 1u);
  ASSERT_EQ(output_.events.size(), 1u);
  EXPECT_EQ(std::get<event::Writable>(output_.events[0]).connection, 1u);
  EXPECT_FALSE(door_->is_parked(1));
}

TEST_F(FrontDoorTest, AFullQueueParksFramesAndTheyLeaveInOrderLater) {
  hello(1);
  accept(1, 7);
  sender_.room[1] = 1;
  tokens(1, 7, 0, {5}, "a");
  door_->flush(now_us_, output_);
  tokens(1, 7, 1, {6}, "b");
  finish(1, 7);
  door_->flush(now_us_, output_);
  EXPECT_TRUE(door_->has_parked());
  EXPECT_EQ(sender_.sent[1].size(), 1u);
  sender_.room.erase(1);
  const auto messages = heard(1);
  ASSERT_EQ(messages.size(), 3u);
  EXPECT_EQ(std::get<door::Tokens>(messages[1]).pieces.at(0).first_index, 1);
  EXPECT_TRUE(std::holds_alternative<door::Finished>(messages[2]));
  EXPECT_FALSE(door_->has_parked());
}

TEST_F(FrontDoorTest, AClientThatNeverReadsIsDroppedAtItsByteLimit) {
  FrontDoorOptions tight = front_door_options();
  tight.max_waiting_bytes = 10'000;
  make(tight);
  hello(1);
  hello(2);
  accept(1, 7);
  sender_.room[1] = 0;
  for (int i = 0; i < 20; ++i) tokens(1, 7, i, {5}, std::string(1000, 'x'));
  door_->flush(now_us_, output_);
  EXPECT_TRUE(disconnected(output_, 1));
  EXPECT_FALSE(disconnected(output_, 2));
  EXPECT_EQ(door_->num_connections(), 1);
}

TEST_F(FrontDoorTest, AClientThatTakesNoFrameForTooLongIsDropped) {
  hello(1);
  accept(1, 7);
  sender_.room[1] = 0;
  tokens(1, 7, 0, {5}, "a");
  door_->flush(now_us_, output_);
  now_us_ += front_door_options().max_parked_us;
  door_->flush(now_us_, output_);
  EXPECT_FALSE(disconnected(output_, 1));
  now_us_ += 1;
  door_->flush(now_us_, output_);
  EXPECT_TRUE(disconnected(output_, 1));
}

TEST_F(FrontDoorTest, ASendToAnEndedConnectionDisconnectsTheClient) {
  hello(1);
  accept(1, 7);
  sender_.gone.insert(1);
  tokens(1, 7, 0, {5}, "a");
  door_->flush(now_us_, output_);
  EXPECT_TRUE(disconnected(output_, 1));
}

}  // namespace front_door_slow_test
}  // namespace trireme
