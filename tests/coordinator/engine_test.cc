#include "coordinator/engine/engine.h"

#include <gtest/gtest.h>

#include "tests/coordinator/engine_fixture.h"

namespace trireme {
namespace engine_test {

TEST(Engine, AnswersAsTheRequestWouldAlone) {
  SimulatedCluster cluster(options_of(), 1);
  cluster.add_group(shape_of());
  for (int i = 0; i < 20; ++i) cluster.submit(prompt_of(3 + i, 10 + i, i));
  cluster.run();
  EXPECT_TRUE(cluster.problems().empty()) << cluster.problems().front();
  for (int i = 0; i < 20; ++i) {
    const SimulatedRequest& request = cluster.request(i);
    EXPECT_EQ(request.answers[0].ids, alone(request.submit, 10 + i)) << "request " << i;
    EXPECT_EQ(request.answers[0].ending.reason, FinishReason::kLength);
    EXPECT_EQ(request.answers[0].ending.prompt_tokens, 3 + i);
  }
}

TEST(Engine, APromptLongerThanTheBudgetIsChunked) {
  SimulatedCluster cluster(options_of(), 1);
  cluster.add_group(shape_of());
  const int number = cluster.submit(prompt_of(180, 5));
  cluster.run();
  EXPECT_TRUE(cluster.problems().empty()) << cluster.problems().front();
  EXPECT_EQ(cluster.request(number).answers[0].ids, alone(cluster.request(number).submit, 5));
}

TEST(Engine, KeepsOnePlanMoreThanStagesInFlight) {
  for (const int32_t stages : {1, 2, 4}) {
    SimulatedCluster cluster(options_of(), 1);
    cluster.add_group(shape_of(stages));
    for (int i = 0; i < 8; ++i) cluster.submit(prompt_of(4, 30, i));
    cluster.run();
    EXPECT_EQ(cluster.max_in_flight(), stages + 1);
    EXPECT_TRUE(cluster.problems().empty()) << cluster.problems().front();
  }
}

// With two stages, two running requests are planned in alternate steps, so that both stages work.
TEST(Engine, CohortsAlternateBetweenStages) {
  Engine engine(options_of());
  FakeGroup group(shape_of(2), kVocabulary);
  std::vector<Effect> effects;
  engine.on(event::GroupReady{shape_of(2)}, 1, effects);
  engine.on(event::Submitted{prompt_of(4, 50, 1)}, 1, effects);
  engine.on(event::Submitted{prompt_of(4, 50, 2)}, 1, effects);
  std::vector<std::vector<SlotId>> decodes;
  std::deque<StepResult> results;
  for (int round = 0; round < 60; ++round) {
    for (Effect& effect : effects) {
      if (const auto* send = std::get_if<effect::SendPlan>(&effect)) {
        decodes.push_back(send->plan.parts[0].decodes);
        results.push_back(group.execute(send->plan));
      }
    }
    effects.clear();
    ASSERT_FALSE(results.empty());
    engine.on(event::StepDone{0, results.front()}, 1, effects);
    results.pop_front();
  }
  for (size_t i = 10; i + 1 < decodes.size() && i < 40; ++i) {
    ASSERT_EQ(decodes[i].size(), 1u) << "plan " << i;
    EXPECT_NE(decodes[i][0], decodes[i + 1][0]) << "plans " << i << " and the next";
  }
}

TEST(Engine, APromptWithAKnownPrefixUsesItsPages) {
  SimulatedCluster cluster(options_of(), 1);
  cluster.add_group(shape_of());
  const int first = cluster.submit(prompt_of(41, 4));
  cluster.run();
  const int second = cluster.submit(prompt_of(41, 4));
  cluster.run();
  EXPECT_EQ(cluster.request(first).answers[0].ending.cached_tokens, 0);
  EXPECT_EQ(cluster.request(second).answers[0].ending.cached_tokens, 40);
  EXPECT_EQ(cluster.request(first).answers[0].ids, cluster.request(second).answers[0].ids);
}

TEST(Engine, TheLastPromptTokenIsAlwaysComputed) {
  SimulatedCluster cluster(options_of(), 1);
  cluster.add_group(shape_of());
  cluster.submit(prompt_of(40, 4));
  cluster.run();
  const int second = cluster.submit(prompt_of(40, 4));
  cluster.run();
  EXPECT_EQ(cluster.request(second).answers[0].ending.cached_tokens, 36);
}

TEST(Engine, GeneratedPagesAreFoundByAPromptThatGoesOnFromThem) {
  SimulatedCluster cluster(options_of(), 1);
  cluster.add_group(shape_of());
  SubmitRequest submit = prompt_of(9, 30);
  const int first = cluster.submit(submit);
  cluster.run();
  const std::vector<TokenId>& answer = cluster.request(first).answers[0].ids;
  submit.prompt.insert(submit.prompt.end(), answer.begin(), answer.end());
  submit.prompt.push_back(5);
  const int second = cluster.submit(submit);
  cluster.run();
  // 38 of the 39 tokens were computed: nine full pages of four.
  EXPECT_EQ(cluster.request(second).answers[0].ending.cached_tokens, 36);
  EXPECT_EQ(cluster.request(second).answers[0].ids, alone(submit, 30));
  EXPECT_TRUE(cluster.problems().empty()) << cluster.problems().front();
}

// Equal tokens after a different prefix are a different page.
TEST(Engine, APageKeyCoversAllTokensBeforeThePage) {
  SimulatedCluster cluster(options_of(), 1);
  cluster.add_group(shape_of());
  const auto submit = [&](std::vector<TokenId> prompt) {
    SubmitRequest request = prompt_of(1, 1);
    request.prompt = std::move(prompt);
    const int number = cluster.submit(request);
    cluster.run();
    return number;
  };
  submit({1, 1, 1, 1, 2, 2, 2, 2, 9});
  submit({3, 3, 3, 3, 4, 4, 4, 4, 9});
  const int mixed = submit({1, 1, 1, 1, 4, 4, 4, 4, 9});
  EXPECT_EQ(cluster.request(mixed).answers[0].ending.cached_tokens, 4);
  EXPECT_TRUE(cluster.problems().empty()) << cluster.problems().front();
}

TEST(Engine, AnotherPrincipalDoesNotSeeTheCache) {
  SimulatedCluster cluster(options_of(), 1);
  cluster.add_group(shape_of());
  cluster.submit(prompt_of(41, 4));
  cluster.run();
  SubmitRequest other = prompt_of(41, 4);
  other.principal = "somebody else";
  const int second = cluster.submit(other);
  cluster.run();
  EXPECT_EQ(cluster.request(second).answers[0].ending.cached_tokens, 0);
}

TEST(Engine, ChoicesShareThePromptAndDifferByTheirDraws) {
  for (const bool caching : {true, false}) {
    EngineOptions options = options_of();
    options.prefix_caching = caching;
    SimulatedCluster cluster(options, 1);
    cluster.add_group(shape_of());
    SubmitRequest submit = prompt_of(41, 6);
    submit.params.num_choices = 3;
    const int number = cluster.submit(submit);
    cluster.run();
    EXPECT_TRUE(cluster.problems().empty()) << cluster.problems().front();
    const SimulatedRequest& request = cluster.request(number);
    for (uint32_t choice = 0; choice < 3; ++choice) {
      EXPECT_EQ(request.answers[choice].ids, alone(request.submit, 6, choice));
      EXPECT_EQ(request.answers[choice].ending.cached_tokens, choice == 0 ? 0 : 40);
    }
    EXPECT_EQ(request.last_choices, 1);
  }
}

TEST(Engine, PromptLogprobsComeForEveryTokenButTheFirst) {
  SimulatedCluster cluster(options_of(), 1);
  cluster.add_group(shape_of());
  SubmitRequest submit = prompt_of(150, 2);
  submit.params.num_prompt_logprobs = 2;
  const int number = cluster.submit(submit);
  cluster.run();
  EXPECT_EQ(cluster.request(number).prompt_logprobs, 149);
  EXPECT_EQ(cluster.request(number).answers[0].ids.size(), 2u);
}

TEST(Engine, EveryProbeIsAnswered) {
  SimulatedCluster cluster(options_of(), 1);
  cluster.add_group(shape_of());
  SubmitRequest submit = prompt_of(100, 1);
  submit.kind = RequestKind::kProbe;
  submit.probes = {{0, 0, -1}, {0, 70, 2}, {0, 99, -1}};
  const int number = cluster.submit(submit);
  cluster.run();
  EXPECT_EQ(cluster.request(number).probes.size(), 3u);
  EXPECT_TRUE(cluster.request(number).is_over());
}

// Nothing is appended to the prompt of a score.
TEST(Engine, AScoreMayBeAsLongAsTheModel) {
  SimulatedCluster cluster(options_of(), 1);
  cluster.add_group(shape_of());
  SubmitRequest submit = prompt_of(200, 1);
  submit.kind = RequestKind::kScore;
  const int fits = cluster.submit(submit);
  submit.prompt.push_back(1);
  const int too_long = cluster.submit(submit);
  cluster.run();
  EXPECT_EQ(cluster.request(fits).prompt_logprobs, 199);
  EXPECT_TRUE(cluster.request(fits).is_over());
  EXPECT_EQ(error_id(cluster.request(too_long).refusal), "TRI-REQ-035");
  EXPECT_TRUE(cluster.problems().empty()) << cluster.problems().front();
}

TEST(Engine, APromptThatFillsTheModelIsRefusedAndALongAnswerEndsAtItsLength) {
  SimulatedCluster cluster(options_of(), 1);
  cluster.add_group(shape_of());
  const int too_long = cluster.submit(prompt_of(200, 1));
  const int longest = cluster.submit(prompt_of(199, 50));
  const int cut = cluster.submit(prompt_of(190, 50));
  cluster.run();
  EXPECT_EQ(error_id(cluster.request(too_long).refusal), "TRI-REQ-035");
  EXPECT_EQ(cluster.request(longest).answers[0].ids.size(), 1u);
  EXPECT_EQ(cluster.request(cut).answers[0].ids.size(), 10u);
  EXPECT_EQ(cluster.request(cut).answers[0].ending.reason, FinishReason::kLength);
  EXPECT_TRUE(cluster.problems().empty()) << cluster.problems().front();
}

TEST(Engine, AFullQueueRefusesAtOnceWithATimeToRetry) {
  EngineOptions options = options_of();
  options.max_waiting_requests = 2;
  Engine engine(options);
  std::vector<Effect> effects;
  for (int i = 0; i < 3; ++i) engine.on(event::Submitted{prompt_of(4, 4)}, 1, effects);
  const auto* refusal = std::get_if<effect::Refuse>(&effects.back());
  ASSERT_NE(refusal, nullptr);
  EXPECT_EQ(error_id(refusal->status), "TRI-REQ-030");
  EXPECT_GT(refusal->retry_after_ms, 0);
}

TEST(Engine, ADeadlineEndsWaitingAndRunningRequests) {
  SimulatedCluster cluster(options_of(), 1);
  SubmitRequest submit = prompt_of(4, 100);
  submit.deadline_us = 5'000;
  const int waiting = cluster.submit(submit);
  cluster.run();
  EXPECT_EQ(error_id(cluster.request(waiting).answers[0].ending.error), "TRI-REQ-038");
  cluster.add_group(shape_of());
  submit.deadline_us = cluster.now_us() + 5'000;
  const int running = cluster.submit(submit);
  cluster.run();
  EXPECT_EQ(error_id(cluster.request(running).answers[0].ending.error), "TRI-REQ-038");
  EXPECT_GT(cluster.request(running).answers[0].ids.size(), 0u);
  EXPECT_EQ(cluster.engine().status().groups[0].pages_held, 0);
}

TEST(Engine, ClientsAreToldOnlyWhatIsDurable) {
  Engine engine(options_of());
  std::vector<Effect> effects;
  engine.on(event::Submitted{prompt_of(4, 4)}, 1, effects);
  ASSERT_EQ(effects.size(), 1u);
  const auto* append = std::get_if<effect::Append>(&effects[0]);
  ASSERT_NE(append, nullptr);
  const uint64_t sequence = append->sequence;
  effects.clear();
  engine.on(event::Durable{sequence - 1}, 1, effects);
  EXPECT_TRUE(effects.empty());
  engine.on(event::Durable{sequence}, 1, effects);
  ASSERT_EQ(effects.size(), 1u);
  EXPECT_TRUE(std::holds_alternative<effect::Accept>(effects[0]));
}

TEST(Engine, InvalidResultsChangeNothing) {
  Engine engine(options_of());
  std::vector<Effect> effects;
  engine.on(event::GroupReady{shape_of()}, 1, effects);
  engine.on(event::Submitted{prompt_of(4, 4)}, 1, effects);
  StepResult result;
  result.epochs = {1, 1};
  result.step = 1;
  result.slots = {-1, 9999, 63};
  result.counts = {1, 1, 1'000'000};
  result.ids = {1, 2, 3};
  Probe probe;
  probe.epochs = {1, 1};
  probe.slot = 9999;
  effects.clear();
  engine.on(event::StepDone{0, result}, 1, effects);
  engine.on(event::StepDone{7, result}, 1, effects);
  engine.on(event::ProbeArrived{0, probe}, 1, effects);
  for (const Effect& effect : effects) EXPECT_FALSE(std::holds_alternative<effect::Tokens>(effect));
}

}  // namespace engine_test
}  // namespace trireme
