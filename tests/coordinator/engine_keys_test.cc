// Idempotency keys: one answer for all Submits of a key, kept for a while after its end.
#include <gtest/gtest.h>

#include "tests/coordinator/engine_fixture.h"

namespace trireme {
namespace engine_keys_test {

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

// The front door submits a known key without its prompt.
TEST(EngineKeys, AKnownKeyNeedsNoPromptUnlessItsRequestIsGone) {
  SimulatedCluster cluster(options_of(), 1);
  cluster.add_group(shape_of());
  SubmitRequest submit = prompt_of(9, 20);
  EXPECT_FALSE(cluster.engine().knows_key(submit)) << "it has none";
  submit.idempotency_key = "once";
  EXPECT_FALSE(cluster.engine().knows_key(submit));
  const int first = cluster.submit(submit);
  cluster.run(10);
  EXPECT_TRUE(cluster.engine().knows_key(submit));
  SubmitRequest bare = submit;
  bare.prompt.clear();
  const int again = cluster.submit(bare);
  cluster.run(10);
  EXPECT_EQ(cluster.request(first).id, cluster.request(again).id);
  cluster.cancel(again);
  EXPECT_FALSE(cluster.engine().knows_key(submit));
  const int late = cluster.submit(bare);
  EXPECT_EQ(error_id(cluster.request(late).refusal), "TRI-REQ-100");
}

TEST(EngineKeys, TheQueueCountsRequestsOnTheirWay) {
  EngineOptions options = options_of();
  options.max_waiting_requests = 10;
  SimulatedCluster cluster(options, 1);
  for (uint64_t seed = 1; seed <= 6; ++seed) cluster.submit(prompt_of(9, 20, seed));
  int64_t retry_after_ms = 0;
  EXPECT_TRUE(cluster.engine().may_wait(prompt_of(9, 20), 3, &retry_after_ms).ok());
  EXPECT_EQ(error_id(cluster.engine().may_wait(prompt_of(9, 20), 4, &retry_after_ms)),
            "TRI-REQ-030");
  EXPECT_GT(retry_after_ms, 0);
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

// The stream that is taken over gets one Error.
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
  EXPECT_EQ(error_id(cluster.request(first).refusal), "TRI-REQ-039");
  for (int choice = 0; choice < 2; ++choice) {
    EXPECT_EQ(cluster.request(first).answers[choice].finishes, 0);
    EXPECT_EQ(cluster.request(again).answers[choice].finishes, 1);
    EXPECT_EQ(cluster.request(again).answers[choice].ids, alone(submit, 20, choice));
  }
  EXPECT_TRUE(cluster.problems().empty()) << cluster.problems().front();
}

TEST(EngineKeys, AKnownKeyWithAnotherRequestIsRefused) {
  SimulatedCluster cluster(options_of(), 1);
  cluster.add_group(shape_of());
  SubmitRequest submit = prompt_of(9, 20);
  submit.idempotency_key = "once";
  submit.digest = "one";
  const int first = cluster.submit(submit);
  cluster.run(5);
  submit.digest = "two";
  submit.connection = 2;
  const int other = cluster.submit(submit);
  cluster.run();
  EXPECT_EQ(error_id(cluster.request(other).refusal), "TRI-REQ-042");
  EXPECT_EQ(field_of(cluster.request(other).refusal), "idempotency_key");
  EXPECT_EQ(cluster.request(first).answers[0].ids, alone(submit, 20)) << "it goes on";
  submit.principal = "somebody else";
  const int third = cluster.submit(submit);
  cluster.run();
  EXPECT_FALSE(cluster.request(third).refused);
}

TEST(EngineKeys, RequestsOfAnotherSaltOrPrincipalShareNoPages) {
  SimulatedCluster cluster(options_of(), 1);
  cluster.add_group(shape_of());
  const auto cached = [&](const std::string& principal, const std::string& salt) {
    SubmitRequest submit = prompt_of(40, 2);
    submit.principal = principal;
    submit.cache_salt = salt;
    const int number = cluster.submit(submit);
    cluster.run();
    return cluster.request(number).answers[0].ending.cached_tokens;
  };
  EXPECT_EQ(cached("", ""), 0);
  EXPECT_GT(cached("", ""), 0);
  EXPECT_EQ(cached("a", ""), 0);
  EXPECT_EQ(cached("", "a"), 0);
  EXPECT_EQ(cached("a", "a"), 0);
  EXPECT_GT(cached("", "a"), 0);
}

TEST(EngineKeys, AKeyOfAnAnswerThatWasCancelledOrFailedRunsAnew) {
  SimulatedCluster cluster(options_of(), 1);
  cluster.add_group(shape_of());
  SubmitRequest submit = prompt_of(9, 20);
  submit.idempotency_key = "once";
  const int first = cluster.submit(submit);
  cluster.run(10);
  cluster.cancel(first);
  cluster.run(2);  // a plan that names it is still in flight
  const int again = cluster.submit(submit);
  cluster.run();
  EXPECT_EQ(cluster.request(first).answers[0].ending.reason, FinishReason::kCancelled);
  EXPECT_NE(cluster.request(first).id, cluster.request(again).id);
  EXPECT_EQ(cluster.request(again).answers[0].ids, alone(submit, 20));
  submit.idempotency_key = "late";
  submit.deadline_us = cluster.now_us() + 10;
  const int late = cluster.submit(submit);
  cluster.run();
  submit.deadline_us = 0;
  const int later = cluster.submit(submit);
  cluster.run();
  EXPECT_EQ(error_id(cluster.request(late).answers[0].ending.error), "TRI-REQ-038");
  EXPECT_EQ(cluster.request(later).answers[0].ids, alone(submit, 20));
  EXPECT_TRUE(cluster.problems().empty()) << cluster.problems().front();
}

// Several threads tokenize: the later of two equal Submits may reach the Engine first.
TEST(EngineKeys, TheSubmitThatArrivedLastKeepsTheAnswer) {
  SimulatedCluster cluster(options_of(), 1);
  cluster.add_group(shape_of());
  SubmitRequest submit = prompt_of(9, 20);
  submit.idempotency_key = "once";
  submit.arrived_us = 2;
  const int later = cluster.submit(submit);
  submit.arrived_us = 1;
  submit.connection = 2;
  const int earlier = cluster.submit(submit);
  cluster.run();
  EXPECT_EQ(error_id(cluster.request(earlier).refusal), "TRI-REQ-039");
  EXPECT_EQ(cluster.request(later).answers[0].ids, alone(submit, 20));
  EXPECT_EQ(cluster.request(later).answers[0].ending.reason, FinishReason::kLength);
}

TEST(EngineKeys, WaitingBytesCountEveryChoice) {
  EngineOptions options = options_of();
  options.max_waiting_bytes = 20'000;
  SimulatedCluster cluster(options, 1);
  SubmitRequest submit = prompt_of(1'000, 2);
  const int one = cluster.submit(submit);
  submit.params.num_choices = 8;
  const int eight = cluster.submit(submit);
  cluster.run(4);
  EXPECT_FALSE(cluster.request(one).refused);
  EXPECT_EQ(error_id(cluster.request(eight).refusal), "TRI-REQ-030");
}

}  // namespace engine_keys_test
}  // namespace trireme
