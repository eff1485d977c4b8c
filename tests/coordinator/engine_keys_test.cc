// Idempotency keys: one answer for all Submits of a key, kept for a while after its end.
#include <gtest/gtest.h>

#include "tests/coordinator/engine_fixture.h"

namespace trireme {
namespace {

TEST(EngineKeys, AKnownKeyReturnsTheSameAnswer) {
  SimulatedCluster cluster(options_of(), 1);
  cluster.add_group(shape_of());
  SubmitRequest submit = prompt_of(9, 20);
  submit.params.seed.reset();
  submit.idempotency_key = "once";
  const int first = cluster.submit(submit);
  cluster.run();
  const int again = cluster.submit(submit);
  cluster.run();
  EXPECT_EQ(cluster.request(first).id, cluster.request(again).id);
  EXPECT_EQ(cluster.request(first).answers[0].ids, cluster.request(again).answers[0].ids);
  EXPECT_TRUE(cluster.request(again).is_over());
  submit.principal = "somebody else";
  const int other = cluster.submit(submit);
  cluster.run();
  EXPECT_NE(cluster.request(first).id, cluster.request(other).id);
}

TEST(EngineKeys, KeptAnswersAreBoundedByTheirBytes) {
  EngineOptions options = options_of();
  options.max_kept_bytes = 10'000;  // two of these
  SimulatedCluster cluster(options, 1);
  cluster.add_group(shape_of());
  std::vector<SubmitRequest> submits(3, prompt_of(9, 20));
  std::vector<int> numbers;
  for (size_t i = 0; i < submits.size(); ++i) {
    submits[i].idempotency_key = format_text("key {}", i);
    numbers.push_back(cluster.submit(submits[i]));
    cluster.run();
  }
  for (const size_t i : {2, 1, 0}) {  // the oldest is forgotten, and runs anew
    const int again = cluster.submit(submits[i]);
    cluster.run();
    EXPECT_EQ(cluster.request(again).id == cluster.request(numbers[i]).id, i > 0) << i;
  }
}

// The stream that is taken over gets one Finish per choice.
TEST(EngineKeys, ARepeatedKeyEndsTheStreamThatItTakesOver) {
  SimulatedCluster cluster(options_of(), 1);
  cluster.add_group(shape_of());
  SubmitRequest submit = prompt_of(9, 20);
  submit.params.num_choices = 2;
  submit.idempotency_key = "once";
  const int first = cluster.submit(submit);
  cluster.run(10);
  ASSERT_FALSE(cluster.request(first).is_over());
  submit.connection = 2;
  const int again = cluster.submit(submit);
  cluster.run();
  EXPECT_EQ(cluster.request(first).last_choices, 1);
  for (int choice = 0; choice < 2; ++choice) {
    EXPECT_EQ(cluster.request(first).answers[choice].finishes, 1);
    EXPECT_EQ(error_id(cluster.request(first).answers[choice].ending.error), "TRI-REQ-039");
    EXPECT_EQ(cluster.request(again).answers[choice].finishes, 1);
    EXPECT_EQ(cluster.request(again).answers[choice].ids, alone(submit, 20, choice));
  }
  EXPECT_TRUE(cluster.problems().empty()) << cluster.problems().front();
}

TEST(EngineKeys, ResumeIsRefusedBecauseAnswersAreNotKept) {
  Engine engine(options_of());
  std::vector<Effect> effects;
  engine.on(event::Resumed{1, 2, {3, 4}, 5, {0}, 100}, 1, effects);
  EXPECT_EQ(error_id(std::get<effect::Refuse>(effects.at(0)).status), "TRI-REQ-037");
}

}  // namespace
}  // namespace trireme
