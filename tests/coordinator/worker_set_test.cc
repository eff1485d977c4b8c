#include "tests/coordinator/worker_set_fixture.h"

namespace trireme {
namespace worker_set_test {

TEST_F(WorkerSetTest, AGroupStartsWithTheSmallestPageCountWhenAllRanksHaveCome) {
  for (int rank = 3; rank > 0; --rank) say(static_cast<PeerId>(rank), hello_of(0, rank));
  EXPECT_TRUE(heard<Start>(1).empty());
  say(0, hello_of(0, 0));
  for (PeerId peer = 0; peer < 4; ++peer) {
    const auto starts = heard<Start>(peer);
    ASSERT_EQ(starts.size(), 1u);
    EXPECT_EQ(starts[0], (Start{{77, 1}, 100, ""}));
    EXPECT_TRUE(of<event::GroupReady>(output_.events).empty());
    say(peer, RankStarted{{77, 1}});
  }
  const auto ready = of<event::GroupReady>(output_.events);
  ASSERT_EQ(ready.size(), 1u);
  EXPECT_EQ(ready[0].shape.num_pages, 100);
  EXPECT_EQ(ready[0].shape.num_stages, 2);
  EXPECT_EQ(ready[0].shape.max_model_len, 2048);
  EXPECT_EQ(set_->num_ready(), 1);
}

TEST_F(WorkerSetTest, TheModelLengthIsLoweredToWhatThePagesHold) {
  for (int rank = 0; rank < 4; ++rank) {
    RankHello hello = hello_of(0, rank);
    hello.pages = 10;
    say(static_cast<PeerId>(rank), hello);
  }
  for (PeerId peer = 0; peer < 4; ++peer) say(peer, RankStarted{{77, 1}});
  EXPECT_EQ(of<event::GroupReady>(output_.events).at(0).shape.max_model_len, 320);
  EXPECT_EQ(set_->max_model_len(), 320);
}

TEST_F(WorkerSetTest, ADisagreementNamesFieldRanksAndValuesAndFencesAll) {
  say(0, hello_of(0, 0));
  RankHello other = hello_of(0, 1);
  other.dtype = "float32";
  say(1, other);
  ASSERT_EQ(losses().size(), 1u);
  const std::string message = message_of(losses()[0].cause);
  EXPECT_EQ(error_id(losses()[0].cause), "TRI-GRP-045");
  for (const char* part : {"dtype", "rank 0 (host0)", "bfloat16", "rank 1 (host1)", "float32"}) {
    EXPECT_NE(message.find(part), std::string::npos) << message;
  }
  EXPECT_EQ(heard<Fence>(0).size(), 1u);
  EXPECT_EQ(heard<Fence>(1).size(), 1u);
}

TEST_F(WorkerSetTest, AnotherModelThanTheCoordinatorsIsRefused) {
  RankHello other = hello_of(0, 0);
  other.fingerprint = "beef";
  say(0, other);
  EXPECT_EQ(error_id(losses().at(0).cause), "TRI-GRP-040");
}

TEST_F(WorkerSetTest, ARankWithoutASeatIsFencedWithAnErrorId) {
  say(50, hello_of(9, 0));
  EXPECT_EQ(error_id(losses().at(0).cause), "TRI-GRP-042");
  RankHello beyond = hello_of(0, 4);
  say(51, beyond);
  EXPECT_EQ(error_id(losses().at(1).cause), "TRI-GRP-043");
  say(0, hello_of(0, 0));
  say(52, hello_of(0, 0));
  EXPECT_EQ(error_id(losses().at(2).cause), "TRI-GRP-044");
  for (PeerId peer : {50, 51, 52}) EXPECT_EQ(heard<Fence>(peer).size(), 1u);
  EXPECT_TRUE(heard<Fence>(0).empty());
}

TEST_F(WorkerSetTest, PlansGoToEveryRankAndOnlyTheAnsweringRanksResultInOrderCounts) {
  bring_up();
  plan(1);
  plan(2);
  for (PeerId peer = 0; peer < 4; ++peer) EXPECT_EQ(heard<StepPlan>(peer).size(), 2u);
  StepResult result;
  result.epochs = epochs_;
  result.step = 1;
  say(3, result);  // not the first rank of the last stage
  result.step = 2;
  say(2, result);  // not the oldest step
  result.step = 1;
  result.epochs.group = 99;
  say(2, result);  // another epoch
  EXPECT_TRUE(of<event::StepDone>(output_.events).empty());
  result.epochs = epochs_;
  say(2, result);
  say(2, result);  // twice
  EXPECT_EQ(of<event::StepDone>(output_.events).size(), 1u);
}

TEST_F(WorkerSetTest, ADeadConnectionEndsTheGroupOnceAndNamesTheRank) {
  bring_up();
  beat(1, 1, Phase::kCompute, 5);
  set_->on_gone(1, now_us_, output_);
  set_->on_gone(2, now_us_, output_);
  ASSERT_EQ(losses().size(), 1u);
  const auto loss = losses()[0];
  EXPECT_EQ(loss.rank, 1);
  EXPECT_EQ(loss.host, "host1");
  EXPECT_TRUE(loss.was_ready);
  const std::string message = message_of(loss.cause);
  EXPECT_EQ(error_id(loss.cause), "TRI-GRP-041");
  EXPECT_NE(message.find("rank 1 of group 0 on host1, computing"), std::string::npos) << message;
  EXPECT_EQ(of<event::GroupLost>(output_.events).size(), 1u);
  EXPECT_EQ(heard<Fence>(0).at(0).epochs, epochs_);
  EXPECT_EQ(set_->num_ready(), 0);
}

TEST_F(WorkerSetTest, ANewEpochFencesTheRanksOfTheOldOne) {
  bring_up();
  set_->on_gone(1, now_us_, output_);
  sender_.sent.clear();
  beat(0, 0, Phase::kCompute, 9);
  EXPECT_EQ(heard<Fence>(0).size(), 1u);
  const Epochs old = epochs_;
  bring_up(20);
  EXPECT_EQ(epochs_.group, old.group + 1);
  EXPECT_EQ(set_->num_ready(), 1);
  StepResult stale;
  stale.epochs = old;
  stale.step = 1;
  plan(1);
  say(22, stale);
  EXPECT_TRUE(of<event::StepDone>(output_.events).empty());
}

// A stopped rank that continues comes on a new connection, perhaps before the ranks of the next
// epoch.
TEST_F(WorkerSetTest, ARankOfAnEarlierEpochGetsNoSeatInTheNext) {
  bring_up();
  set_->on_gone(3, now_us_, output_);
  ASSERT_EQ(losses().size(), 1u);
  Heartbeat beat;
  beat.epochs = epochs_;
  beat.rank = 3;
  beat.tp = beat.pp = 2;
  say(7, beat);
  EXPECT_EQ(heard<Fence>(7).size(), 1u);
  bring_up(10);
  set_->on_gone(7, now_us_, output_);
  EXPECT_EQ(losses().size(), 1u);
  EXPECT_EQ(set_->num_ready(), 1);
}

TEST_F(WorkerSetTest, AHangIsDetectedAfterFiveSecondsAndTheHangingRankNamed) {
  bring_up();
  pass(30 * kSecond, true, Phase::kIdle);  // idle: standing still is fine
  EXPECT_TRUE(losses().empty());
  plan(1);
  for (int i = 0; i < 40; ++i) {  // slow, but moving
    ++progress_;
    pass(kSecond, true);
  }
  EXPECT_TRUE(losses().empty());
  TimeUs waited = 0;
  for (; losses().empty() && waited < 20 * kSecond; waited += kSecond / 4) {
    now_us_ += kSecond / 4;
    for (int rank = 0; rank < 4; ++rank) {
      beat(static_cast<PeerId>(rank),
           rank,
           rank == 2 ? Phase::kCompute : Phase::kWaitTensor,
           progress_);
    }
    set_->tick(now_us_, output_);
  }
  EXPECT_GT(waited, 4 * kSecond);
  EXPECT_LT(waited, 7 * kSecond);
  ASSERT_EQ(losses().size(), 1u);
  EXPECT_EQ(losses()[0].rank, 2);
  EXPECT_EQ(error_id(losses()[0].cause), "TRI-GRP-048");
}

// The other ranks wait for it and send heartbeats; the silent rank is to blame.
TEST_F(WorkerSetTest, ASilentRankIsNamedAndNotThoseThatWaitForIt) {
  bring_up();
  plan(1);
  for (TimeUs waited = 0; losses().empty() && waited < 20 * kSecond; waited += kSecond / 4) {
    now_us_ += kSecond / 4;
    for (int rank = 0; rank < 4; ++rank) {
      if (rank != 3 || waited < kSecond / 2) {
        beat(static_cast<PeerId>(rank), rank, Phase::kWaitTensor, 0);
      }
    }
    set_->tick(now_us_, output_);
  }
  ASSERT_EQ(losses().size(), 1u);
  EXPECT_EQ(losses()[0].rank, 3) << message_of(losses()[0].cause);
}

TEST_F(WorkerSetTest, ARankThatFallsSilentIsLostEvenWhenIdle) {
  bring_up();
  pass(6 * kSecond, false);
  EXPECT_EQ(losses().size(), 1u);
}

TEST_F(WorkerSetTest, LoadingWithoutProgressIsAllowedForTwentySeconds) {
  for (int rank = 0; rank < 4; ++rank) beat(static_cast<PeerId>(rank), rank, Phase::kLoading, 1);
  pass(19 * kSecond, true, Phase::kLoading);
  EXPECT_TRUE(losses().empty());
  pass(2 * kSecond, true, Phase::kLoading);
  ASSERT_EQ(losses().size(), 1u);
  EXPECT_EQ(error_id(losses()[0].cause), "TRI-GRP-047");
  EXPECT_EQ(losses()[0].phase, "loading");
  EXPECT_FALSE(losses()[0].was_ready);
}

TEST_F(WorkerSetTest, MissingRanksEndTheGroupAfterTwentySeconds) {
  for (int i = 0; i < 4 * 21; ++i) {
    now_us_ += kSecond / 4;
    beat(0, 0, Phase::kLoading, static_cast<uint64_t>(i));
    set_->tick(now_us_, output_);
  }
  ASSERT_EQ(losses().size(), 1u);
  EXPECT_EQ(error_id(losses()[0].cause), "TRI-GRP-051");
}

TEST_F(WorkerSetTest, TheCauseOfAGoodbyeIsReported) {
  bring_up();
  say(3, Goodbye{epochs_, 0, 3, "host3", "TRI-LOAD-030: 4 GiB are missing", true});
  ASSERT_EQ(losses().size(), 1u);
  EXPECT_EQ(error_id(losses()[0].cause), "TRI-LOAD-030");
  EXPECT_TRUE(losses()[0].memory);
  EXPECT_NE(message_of(losses()[0].cause).find("4 GiB are missing"), std::string::npos);
}

TEST_F(WorkerSetTest, TheStepOfACrashGoesToTheEngine) {
  bring_up();
  plan(1);
  output_.events.clear();
  say(1, Goodbye{epochs_, 0, 1, "host1", "TRI-GRP-059: SIGSEGV", false, 11, 1});
  ASSERT_EQ(output_.events.size(), 1u);
  const auto& lost = std::get<event::GroupLost>(output_.events[0]);
  EXPECT_EQ(lost.crashed_step, 1);
  EXPECT_EQ(error_id(lost.cause), "TRI-GRP-059");
}

TEST_F(WorkerSetTest, APlanThatCannotBeSentEndsTheGroup) {
  bring_up();
  sender_.room[2] = 0;
  plan(1);
  ASSERT_EQ(losses().size(), 1u);
  EXPECT_EQ(error_id(losses()[0].cause), "TRI-GRP-049");
  EXPECT_EQ(losses()[0].rank, 2);
}

TEST_F(WorkerSetTest, AMalformedFrameEndsItsGroupAndNoOther) {
  bring_up();
  set_->on_frame(99, "rubbish", now_us_, output_);
  EXPECT_TRUE(losses().empty());
  set_->on_frame(1, "\x01\x43\xff\xff", now_us_, output_);
  ASSERT_EQ(losses().size(), 1u);
  EXPECT_EQ(error_id(losses()[0].cause), "TRI-NET-003");
}

TEST_F(WorkerSetTest, NoRankIsBlamedForAStandstillOfTheCoordinator) {
  bring_up();
  plan(1);
  set_->tick(now_us_, output_);
  now_us_ += 60 * kSecond;
  set_->tick(now_us_, output_);
  EXPECT_TRUE(losses().empty());
}

// Frames that came meanwhile are read before the next tick.
TEST_F(WorkerSetTest, NoRankIsBlamedForAStandstillWhicheverCallFindsIt) {
  bring_up();
  plan(1);
  set_->tick(now_us_, output_);
  for (const TimeUs stood_us : {7 * kSecond, 30 * kSecond, 600 * kSecond}) {
    now_us_ += stood_us;
    beat(0, 0, Phase::kWaitTensor, progress_);
    set_->tick(now_us_, output_);
    pass(4 * kSecond, true);
    EXPECT_TRUE(losses().empty()) << message_of(losses().front().cause);
    ++progress_;
    pass(kSecond, true);
  }
}

TEST_F(WorkerSetTest, ARankThatHangsIsStillFoundAfterAStandstill) {
  bring_up();
  plan(1);
  pass(2 * kSecond, true);
  now_us_ += 30 * kSecond;
  pass(5 * kSecond, true);
  ASSERT_EQ(losses().size(), 1u) << "2 s before the standstill and 5 s after it";
  EXPECT_EQ(error_id(losses()[0].cause), "TRI-GRP-048");
}

TEST_F(WorkerSetTest, ASilentRankIsFoundByACoordinatorThatStandsStillAgainAndAgain) {
  bring_up();
  plan(1);
  pass(kSecond, true);
  for (int round = 0; round < 8 && losses().empty(); ++round) {
    now_us_ += 13 * kSecond / 10;
    for (int rank = 0; rank < 3; ++rank) {
      beat(static_cast<PeerId>(rank), rank, Phase::kWaitTensor, ++progress_);
    }
    set_->tick(now_us_, output_);
    pass(kSecond / 4, false);
  }
  ASSERT_EQ(losses().size(), 1u);
  EXPECT_EQ(error_id(losses()[0].cause), "TRI-GRP-048");
  EXPECT_EQ(losses()[0].rank, 3);
}

TEST_F(WorkerSetTest, ARankThatIsHeardBetweenStandstillsIsForgivenEachOfThem) {
  bring_up();
  plan(1);
  for (int round = 0; round < 20; ++round) {
    now_us_ += 6 * kSecond;
    set_->tick(now_us_, output_);
    ++progress_;
    pass(kSecond / 4, true);
  }
  EXPECT_TRUE(losses().empty()) << message_of(losses().front().cause);
}

TEST_F(WorkerSetTest, AConnectionThatEndedDuringAStandstillBlamesNoRank) {
  bring_up();
  set_->tick(now_us_, output_);
  now_us_ += 8 * kSecond;
  set_->on_gone(2, now_us_, output_);
  ASSERT_EQ(losses().size(), 1u);
  EXPECT_EQ(losses()[0].rank, -1);
  EXPECT_EQ(message_of(losses()[0].cause),
            "TRI-GRP-041: group 0: the connection of rank 2 on host2 ended while the coordinator "
            "stood still for 8.0 s (it was stopped, or its machine slept)");
}

TEST_F(WorkerSetTest, ASecondAfterAStandstillRanksAreBlamedAgain) {
  bring_up();
  set_->tick(now_us_, output_);
  now_us_ += 8 * kSecond;
  pass(kSecond + kSecond / 2, true, Phase::kIdle);
  set_->on_gone(2, now_us_, output_);
  ASSERT_EQ(losses().size(), 1u);
  EXPECT_EQ(losses()[0].rank, 2);
}

TEST_F(WorkerSetTest, APlanThatCannotBeSentJustAfterAStandstillBlamesNoRank) {
  bring_up();
  set_->tick(now_us_, output_);
  now_us_ += 8 * kSecond;
  sender_.room[2] = 0;
  plan(1);
  ASSERT_EQ(losses().size(), 1u);
  EXPECT_EQ(losses()[0].rank, -1);
  EXPECT_NE(message_of(losses()[0].cause).find("step 1 could not be sent to rank 2"),
            std::string::npos);
}

TEST_F(WorkerSetTest, StatusShowsGroupsRanksAndPhases) {
  beat(0, 0, Phase::kLoading, 1);
  auto status = set_->status(now_us_);
  ASSERT_EQ(status.size(), 2u);
  EXPECT_EQ(status[0].state, "gathering");
  EXPECT_EQ(status[0].ranks.at(0).phase, "loading");
  EXPECT_EQ(status[1].state, "absent");
}

TEST_F(WorkerSetTest, ProgressWithinALongStepIsKnown) {
  bring_up();
  plan(1);
  pass(2 * kSecond, true);
  const TimeUs before = set_->progress_us().at(0);
  ++progress_;
  pass(kSecond / 4, true);
  EXPECT_EQ(set_->progress_us().at(0), now_us_);
  EXPECT_GT(now_us_, before);
  pass(2 * kSecond, true);
  EXPECT_EQ(set_->progress_us().at(0), now_us_ - 2 * kSecond);
}

}  // namespace worker_set_test
}  // namespace trireme
