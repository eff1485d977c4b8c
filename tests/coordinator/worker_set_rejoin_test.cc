// Groups whose ranks have outlived an earlier coordinator of the same journal.
#include "tests/coordinator/worker_set_fixture.h"

namespace trireme {
namespace worker_set_rejoin_test {

const std::string kJournal(kJournalIdBytes, 'j');
constexpr Epochs kOldLife{77, 3};

class WorkerSetRejoinTest : public WorkerSetTest {
 protected:
  WorkerSetRejoinTest() { begin(78, kJournal); }

  void come_back(int32_t rank, int64_t received, int64_t completed, Epochs life = kOldLife) {
    RankHello hello = hello_of(0, rank);
    hello.previous_life = {kJournal, life, received, completed};
    say(static_cast<PeerId>(rank), hello);
  }
  void complete(int32_t rank, int64_t step) {
    Heartbeat beat;
    beat.epochs = kOldLife;
    beat.rank = rank;
    beat.tp = beat.pp = 2;
    beat.phase = Phase::kIdle;
    beat.step_completed = step;
    beat.progress = ++progress_;  // a rank that waits counts its heartbeats
    say(static_cast<PeerId>(rank), beat);
  }
  std::string plan_frame(int64_t step) {
    StepPlan plan;
    plan.epochs = kOldLife;
    plan.step = step;
    plan.parts.resize(1);
    std::string frame;
    codec_.encode(plan, frame);
    return frame;
  }
  void expect_start(int64_t pages = 100) {
    for (PeerId peer = 0; peer < 4; ++peer) {
      EXPECT_EQ(heard<Start>(peer), (std::vector<Start>{{{78, 1}, pages, kJournal}})) << peer;
    }
  }
  void expect_lost(const std::string& id) {
    ASSERT_EQ(losses().size(), 1u);
    EXPECT_EQ(error_id(losses()[0].cause), id) << losses()[0].cause;
  }
};

TEST_F(WorkerSetRejoinTest, RanksThatHaveCompletedTheSameStepStartAtOnce) {
  for (int rank = 0; rank < 4; ++rank) come_back(rank, 5, 5);
  expect_start();
  for (PeerId peer = 0; peer < 4; ++peer) say(peer, RankStarted{{78, 1}});
  EXPECT_EQ(set_->num_ready(), 1);
}

TEST_F(WorkerSetRejoinTest, TheyAreAwaitedUntilAllHaveCompletedTheLastStep) {
  for (int rank = 0; rank < 4; ++rank) come_back(rank, 5, rank == 2 ? 3 : 5);
  complete(2, 4);
  EXPECT_TRUE(heard<Start>(0).empty());
  EXPECT_EQ(set_->status(now_us_)[0].state, "rejoining");
  complete(2, 5);
  expect_start();
}

TEST_F(WorkerSetRejoinTest, PlansThatSomeLackAreRelayedFromTheRankThatGotFarthest) {
  come_back(0, 5, 4);
  come_back(1, 7, 5);
  come_back(2, 6, 5);
  come_back(3, 5, 5);
  EXPECT_EQ(heard<RecallPlans>(1), (std::vector<RecallPlans>{{kOldLife, 6, 7}}));
  say(2, KeptPlan{kOldLife, 6, plan_frame(6)});  // nobody asked it
  EXPECT_TRUE(heard<StepPlan>(0).empty());
  for (const int64_t step : {6, 7}) say(1, KeptPlan{kOldLife, step, plan_frame(step)});
  const auto steps_of = [&](PeerId peer) {
    std::vector<int64_t> steps;
    for (const StepPlan& plan : heard<StepPlan>(peer)) steps.push_back(plan.step);
    return steps;
  };
  EXPECT_EQ(steps_of(0), (std::vector<int64_t>{6, 7}));
  EXPECT_EQ(steps_of(1), (std::vector<int64_t>{}));
  EXPECT_EQ(steps_of(2), (std::vector<int64_t>{7}));
  EXPECT_EQ(steps_of(3), (std::vector<int64_t>{6, 7}));
  for (int rank = 0; rank < 3; ++rank) complete(rank, 7);
  EXPECT_TRUE(heard<Start>(0).empty());
  complete(3, 7);
  expect_start();
}

TEST_F(WorkerSetRejoinTest, AStartThatOnlySomeGotIsRepeated) {
  for (int rank = 0; rank < 3; ++rank) come_back(rank, 5, 5, {76, 3});
  come_back(3, 0, 0, {77, 1});
  expect_start();
}

TEST_F(WorkerSetRejoinTest, LivesThatDoNotFitTogetherEnd) {
  come_back(0, 5, 5, {76, 3});
  come_back(1, 5, 4, {76, 3});  // it would have been awaited before any Start
  come_back(2, 0, 0, {77, 1});
  come_back(3, 0, 0, {77, 1});
  expect_lost("TRI-GRP-057");
  for (PeerId peer = 0; peer < 4; ++peer) EXPECT_EQ(heard<Fence>(peer).size(), 1u);
}

TEST_F(WorkerSetRejoinTest, AStepOfANewerLifeDoesNotFit) {
  come_back(0, 5, 5, {76, 3});
  come_back(1, 5, 5, {76, 3});
  come_back(2, 1, 1, {77, 1});
  come_back(3, 1, 1, {77, 1});
  expect_lost("TRI-GRP-057");
}

TEST_F(WorkerSetRejoinTest, RanksThatAreNotAllBackInTimeEnd) {
  for (int rank = 0; rank < 3; ++rank) come_back(rank, 5, 5);
  for (int i = 0; i < 24; ++i) {
    now_us_ += kSecond / 4;
    set_->tick(now_us_, output_);
  }
  expect_lost("TRI-GRP-058");
  EXPECT_EQ(heard<Fence>(0).size(), 1u);
}

TEST_F(WorkerSetRejoinTest, OnlyALifeOfThisJournalAndAnEarlierCoordinatorGoesOn) {
  struct Stranger {
    uint64_t coordinator;
    std::string journal_id;
  };
  for (const Stranger& stranger : {Stranger{77, std::string(kJournalIdBytes, 'k')},
                                   Stranger{78, kJournal},
                                   Stranger{79, kJournal}}) {
    begin(78, kJournal);
    output_ = {};
    RankHello hello = hello_of(0, 0);
    hello.previous_life = {stranger.journal_id, {stranger.coordinator, 1}, 5, 5};
    say(0, hello);
    const auto fences = heard<Fence>(0);
    ASSERT_EQ(fences.size(), 1u);
    EXPECT_TRUE(fences[0].cause.starts_with("TRI-GRP-056")) << fences[0].cause;
    EXPECT_TRUE(losses().empty()) << "it may be a late one, of a group that is there again";
  }
}

TEST_F(WorkerSetRejoinTest, ARankThatIntroducedItselfAsNewCannotHaveLived) {
  for (const int rank : {0, 1}) beat(static_cast<PeerId>(rank), rank, Phase::kLoading, 1);
  say(0, hello_of(0, 0));
  come_back(1, 5, 5);
  expect_lost("TRI-GRP-055");
}

TEST_F(WorkerSetRejoinTest, RanksThatNeverCatchUpEnd) {
  for (int rank = 0; rank < 4; ++rank) come_back(rank, rank == 1 ? 7 : 5, 5);
  for (int i = 0; i < 61 * 4; ++i) {
    now_us_ += kSecond / 4;
    for (int rank = 0; rank < 4; ++rank) complete(rank, 5);
    set_->tick(now_us_, output_);
  }
  expect_lost("TRI-GRP-058");
}

TEST_F(WorkerSetRejoinTest, TwoGroupsOfOneCoordinatorDoNotFit) {
  come_back(0, 5, 5, {76, 1});
  come_back(1, 5, 5, {76, 1});
  come_back(2, 0, 0, {76, 2});
  come_back(3, 0, 0, {76, 2});
  expect_lost("TRI-GRP-057");
}

TEST_F(WorkerSetRejoinTest, ARankThatHasNotLivedDoesNotJoinThem) {
  come_back(0, 5, 5);
  say(1, hello_of(0, 1));
  EXPECT_EQ(heard<Fence>(1).size(), 1u);
  expect_lost("TRI-GRP-055");
}

TEST_F(WorkerSetRejoinTest, APlanTellsWhichPlansAllRanksHaveReceived) {
  for (int rank = 0; rank < 4; ++rank) come_back(rank, 0, 0);
  expect_start();
  epochs_ = {78, 1};
  for (PeerId peer = 0; peer < 4; ++peer) say(peer, RankStarted{epochs_});
  const auto run = [&](int64_t step, bool has_tokens) {
    effect::SendPlan send;
    send.plan.epochs = epochs_;
    send.plan.step = step;
    send.plan.parts.resize(1);
    if (has_tokens) send.plan.parts[0].decodes = {0};
    set_->on_effect(send, now_us_, output_);
    StepResult result;
    result.epochs = epochs_;
    result.step = step;
    say(2, result);
    return heard<StepPlan>(0).at(0).retired_through;
  };
  EXPECT_EQ(run(1, false), 0);
  EXPECT_EQ(run(2, true), 0) << "a step without tokens needs no other rank";
  EXPECT_EQ(run(3, false), 2);
  EXPECT_EQ(run(4, true), 2);
}

}  // namespace worker_set_rejoin_test
}  // namespace trireme
