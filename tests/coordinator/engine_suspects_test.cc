// Requests that crash ranks: they are set apart after two crashes, and end alone.
#include <gtest/gtest.h>

#include <algorithm>

#include "tests/coordinator/engine_fixture.h"

namespace trireme {
namespace engine_suspects_test {

constexpr uint64_t kPoison = 99;

EngineOptions journaling() {
  EngineOptions options = options_of();
  options.journals = true;
  return options;
}

// Runs to the end; a group that has crashed comes back. Returns the number of crashes.
int run_through_crashes(SimulatedCluster& cluster, int at_most = 100) {
  int crashes = 0;
  while (crashes < at_most && cluster.run_one()) {
    for (GroupShape shape : cluster.take_crashed()) {
      ++crashes;
      ++shape.epoch;
      cluster.add_group(shape);
    }
  }
  return crashes;
}

// The largest number of crashes that was recorded of a request.
int32_t recorded_crashes(const SimulatedCluster& cluster, int32_t* records) {
  int32_t crashes = 0;
  for (const Record& record : cluster.records()) {
    for (const RecordEntry& entry : record) {
      const auto* suspect = std::get_if<record::Suspect>(&entry);
      if (suspect == nullptr) continue;
      ++*records;
      crashes = std::max(crashes, suspect->crashes);
    }
  }
  return crashes;
}

void expect_whole(SimulatedCluster& cluster, int number, int32_t tokens) {
  const SimulatedRequest& request = cluster.request(number);
  ASSERT_EQ(request.last_choices, 1);
  EXPECT_EQ(request.answers[0].ending.reason, FinishReason::kLength);
  EXPECT_EQ(request.answers[0].ids, alone(request.submit, tokens));
}

void expect_ended_alone(SimulatedCluster& cluster, int number) {
  const SimulatedRequest& request = cluster.request(number);
  ASSERT_EQ(request.last_choices, 1);
  EXPECT_EQ(error_id(request.answers[0].ending.error), "TRI-REQ-099");
}

TEST(EngineSuspects, ARequestThatCrashesItsRanksEndsAndTheOthersAreWhole) {
  for (const int32_t stages : {1, 3}) {
    SimulatedCluster cluster(journaling(), 1);
    cluster.poison(kPoison);
    cluster.add_group(shape_of(stages));
    std::vector<int> others;
    for (uint64_t seed = 1; seed <= 4; ++seed) {
      others.push_back(cluster.submit(prompt_of(9, 150, seed)));
    }
    const int poison = cluster.submit(prompt_of(30, 60, kPoison));
    EXPECT_EQ(run_through_crashes(cluster), 3);
    expect_ended_alone(cluster, poison);
    for (const int number : others) expect_whole(cluster, number, 150);
    if (stages == 1) {
      const std::set<uint64_t> all = {1, 2, 3, 4};
      EXPECT_NE(std::ranges::find(cluster.steps(), all), cluster.steps().end())
          << "those that were cleared share their steps again";
    }
    int32_t records = 0;
    EXPECT_EQ(recorded_crashes(cluster, &records), 2);
    EXPECT_TRUE(cluster.problems().empty()) << cluster.problems().front();
  }
}

TEST(EngineSuspects, StepsOfASuspectHoldNothingElseAndTakeTurns) {
  SimulatedCluster cluster(journaling(), 1);
  cluster.poison(kPoison);
  cluster.submit(prompt_of(9, 150, 1));
  cluster.submit(prompt_of(9, 150, 2));
  const int poison = cluster.submit(prompt_of(9, 150, kPoison));
  cluster.add_group(shape_of());  // the first step computes all three
  ASSERT_EQ(run_through_crashes(cluster, 2), 2);
  cluster.cancel(poison);
  const int late = cluster.submit(prompt_of(9, 150, 3));  // no suspect
  const size_t begin = cluster.steps().size();
  run_through_crashes(cluster);
  expect_whole(cluster, late, 150);
  // Requests 1 and 2 were in both crashes, too.
  for (size_t i = begin; i + 1 < begin + 40; ++i) {
    EXPECT_EQ(cluster.steps()[i].size(), 1u) << i;
    EXPECT_NE(cluster.steps()[i] == std::set<uint64_t>{3},
              cluster.steps()[i + 1] == std::set<uint64_t>{3})
        << i;
  }
}

// The other requests of both groups never leave them idle.
TEST(EngineSuspects, ASuspectGetsItsStepsBesideTwoBusyGroups) {
  SimulatedCluster cluster(journaling(), 1);
  cluster.poison(kPoison);
  std::vector<int> others;
  for (uint64_t seed = 1; seed <= 6; ++seed) {
    others.push_back(cluster.submit(prompt_of(9, 180, seed)));
  }
  const int poison = cluster.submit(prompt_of(9, 150, kPoison));
  GroupShape shape = shape_of();
  cluster.add_group(shape);
  shape.group = 1;
  cluster.add_group(shape);
  int crashes = 0;
  while (!cluster.request(poison).is_over()) {
    ASSERT_TRUE(cluster.run_one());
    for (GroupShape crashed : cluster.take_crashed()) {
      ++crashes;
      ++crashed.epoch;
      cluster.add_group(crashed);
    }
  }
  EXPECT_EQ(crashes, 3);
  for (const int number : others) EXPECT_FALSE(cluster.request(number).is_over());
  run_through_crashes(cluster);
  for (const int number : others) expect_whole(cluster, number, 180);
}

// One whose values nobody takes does not keep another from its steps.
TEST(EngineSuspects, ASuspectWithoutAReaderHoldsNoOtherUp) {
  EngineOptions options = journaling();
  options.max_batched_tokens = 32;
  SimulatedCluster cluster(options, 1);
  cluster.poison(kPoison);
  SubmitRequest score = prompt_of(90, 1, 5);
  score.kind = RequestKind::kScore;
  score.credit_bytes = 20;
  const int unread = cluster.submit(score);
  const int other = cluster.submit(prompt_of(9, 60, 1));
  const int poison = cluster.submit(prompt_of(9, 60, kPoison));
  GroupShape shape = shape_of();
  shape.max_batched_tokens = 128;
  cluster.add_group(shape);
  run_through_crashes(cluster, 3);
  cluster.run();
  expect_ended_alone(cluster, poison);
  expect_whole(cluster, other, 60);
  EXPECT_FALSE(cluster.request(unread).is_over());
}

TEST(EngineSuspects, AKilledRankMakesNoSuspects) {
  SimulatedCluster cluster(journaling(), 1);
  GroupShape shape = shape_of();
  cluster.add_group(shape);
  const int first = cluster.submit(prompt_of(9, 60, 1));
  const int other = cluster.submit(prompt_of(9, 60, 2));
  for (int kills = 0; kills < 5; ++kills) {
    cluster.run(20);
    cluster.lose_group(0);
    ++shape.epoch;
    cluster.add_group(shape);
  }
  cluster.run();
  expect_whole(cluster, first, 60);
  expect_whole(cluster, other, 60);
  int32_t records = 0;
  EXPECT_EQ(recorded_crashes(cluster, &records), 0);
  EXPECT_EQ(records, 0);
}

TEST(EngineSuspects, ASuspectOfAnEarlierCoordinatorStaysOne) {
  SimulatedCluster cluster(journaling(), 1);
  cluster.poison(kPoison);
  cluster.add_group(shape_of());
  const int other = cluster.submit(prompt_of(9, 60, 1));
  const int poison = cluster.submit(prompt_of(9, 60, kPoison));
  ASSERT_EQ(run_through_crashes(cluster, 2), 2);
  cluster.advance(1000);  // what was recorded becomes durable
  cluster.take_crashed();
  cluster.restart();
  GroupShape shape = shape_of();
  shape.epoch = 9;
  cluster.add_group(shape);
  EXPECT_EQ(run_through_crashes(cluster), 1);
  expect_ended_alone(cluster, poison);
  expect_whole(cluster, other, 60);
}

// It waits for pages that others hold, and later requests do not take them before it.
TEST(EngineSuspects, ALargeSuspectIsNotOvertaken) {
  SimulatedCluster cluster(journaling(), 1);
  cluster.poison(kPoison);
  GroupShape shape = shape_of(1, 24);  // 96 tokens
  shape.max_model_len = 96;
  cluster.add_group(shape);
  const int poison = cluster.submit(prompt_of(70, 20, kPoison));
  ASSERT_EQ(run_through_crashes(cluster, 2), 2);
  std::vector<int> others;
  for (uint64_t seed = 1; seed <= 6; ++seed) {
    SubmitRequest submit = prompt_of(30, 20, seed);
    submit.prompt[0] = static_cast<TokenId>(seed);  // shares no page
    others.push_back(cluster.submit(submit));
  }
  EXPECT_EQ(run_through_crashes(cluster), 1);
  expect_ended_alone(cluster, poison);
  for (const int number : others) expect_whole(cluster, number, 20);
  EXPECT_TRUE(cluster.problems().empty()) << cluster.problems().front();
}

}  // namespace engine_suspects_test
}  // namespace trireme
