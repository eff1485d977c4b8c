#include "coordinator/engine/engine.h"

#include <gtest/gtest.h>

#include "model/tokenizer/tokenizer.h"
#include "tests/coordinator/engine_fixture.h"

namespace trireme {
namespace {

std::unique_ptr<const Tokenizer> demo_tokenizer() {
  return Tokenizer::load(std::string(TRIREME_SOURCE_DIR) + "/models/demo/tokenizer.json").value();
}

// Ids whose text is plain ASCII, so that stop strings can be cut out of an answer.
SubmitRequest with_readable_answer(const Tokenizer& tokenizer, int32_t count) {
  for (uint64_t seed = 0;; ++seed) {
    SubmitRequest submit = prompt_of(5, count, seed);
    bool readable = true;
    for (const TokenId id : alone(submit, count)) {
      const std::string bytes = tokenizer.bytes_of(id);
      readable = readable && bytes.size() >= 2 && !tokenizer.is_special(id) &&
                 std::all_of(bytes.begin(), bytes.end(), [](char c) { return c >= 0; });
    }
    if (readable) return submit;
  }
}

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
    EXPECT_EQ(cluster.most_in_flight(), stages + 1);
    EXPECT_TRUE(cluster.problems().empty()) << cluster.problems().front();
  }
}

// Two running requests under two stages are planned in turn, so that both stages have work.
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

TEST(Engine, TheSecondPromptOfEqualBeginningIsCached) {
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

TEST(Engine, ALookUpNeverCoversTheLastPromptToken) {
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

// A page of equal tokens behind another beginning is another page.
TEST(Engine, APageIsKnownByAllThatCameBeforeIt) {
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

TEST(Engine, AStopStringOverSeveralTokensEndsTheTextBeforeIt) {
  const auto tokenizer = demo_tokenizer();
  const SubmitRequest plain = with_readable_answer(*tokenizer, 12);
  const std::vector<TokenId> ids = alone(plain, 12);
  const std::string text = tokenizer->decode(ids, true);
  size_t begin = 0;  // from the middle of token 5 to the middle of token 6
  for (int i = 0; i < 5; ++i) begin += tokenizer->bytes_of(ids[i]).size();
  const std::string stop = text.substr(begin + 1, tokenizer->bytes_of(ids[5]).size());
  ASSERT_LT(text.find(stop), text.size());
  for (const bool include : {false, true}) {
    SimulatedCluster cluster(options_of(tokenizer.get()), 1);
    cluster.add_group(shape_of());
    SubmitRequest submit = plain;
    submit.params.stop = {"never in here", stop};
    submit.params.include_stop_in_output = include;
    const int number = cluster.submit(submit);
    cluster.run();
    const SimulatedAnswer& answer = cluster.request(number).answers[0];
    const size_t end = text.find(stop) + (include ? stop.size() : 0);
    EXPECT_EQ(answer.text, text.substr(0, end));
    EXPECT_EQ(answer.ending.stop_string, stop);
    EXPECT_EQ(answer.ending.reason, FinishReason::kStop);
    EXPECT_LT(answer.ids.size(), 12u);
    const std::string spoken = tokenizer->decode(answer.ids, true);
    EXPECT_NE(spoken.find(stop), std::string::npos) << "token ids include the match";
  }
}

TEST(Engine, TextHeldForAStopStringIsReleasedAtTheEnd) {
  const auto tokenizer = demo_tokenizer();
  SubmitRequest submit = with_readable_answer(*tokenizer, 8);
  const std::string text = tokenizer->decode(alone(submit, 8), true);
  submit.params.stop = {text.substr(text.size() - 2) + "zzz"};
  SimulatedCluster cluster(options_of(tokenizer.get()), 1);
  cluster.add_group(shape_of());
  const int number = cluster.submit(submit);
  cluster.run();
  EXPECT_EQ(cluster.request(number).answers[0].text, text);
  EXPECT_EQ(cluster.request(number).answers[0].ending.text, text.substr(text.size() - 2));
}

TEST(Engine, EndIdsAreInTheIdsAndNotInTheText) {
  const auto tokenizer = demo_tokenizer();
  const SubmitRequest plain = with_readable_answer(*tokenizer, 8);
  const std::vector<TokenId> ids = alone(plain, 8);
  const std::vector<TokenId> first_five(ids.begin(), ids.begin() + 5);
  const std::string before =
      tokenizer->decode(std::vector<TokenId>(ids.begin(), ids.begin() + 4), true);
  EngineOptions options = options_of(tokenizer.get());
  options.eos_ids = {ids[4]};
  SubmitRequest by_eos = plain;
  by_eos.params.ignore_eos = false;
  SubmitRequest by_stop_id = plain;
  by_stop_id.params.stop_token_ids = {ids[4]};
  SimulatedCluster cluster(options, 1);
  cluster.add_group(shape_of());
  cluster.submit(by_eos);
  cluster.submit(by_stop_id);
  const int ignoring = cluster.submit(plain);
  cluster.run();
  for (const int number : {0, 1}) {
    const SimulatedAnswer& answer = cluster.request(number).answers[0];
    EXPECT_EQ(answer.ids, first_five);
    EXPECT_EQ(answer.text, before);
    EXPECT_EQ(answer.ending.reason, FinishReason::kStop);
  }
  EXPECT_EQ(cluster.request(1).answers[0].ending.stop_token, ids[4]);
  EXPECT_EQ(cluster.request(ignoring).answers[0].ids, ids);
}

TEST(Engine, EchoBeginsTheTextWithThePrompt) {
  const auto tokenizer = demo_tokenizer();
  SubmitRequest submit = with_readable_answer(*tokenizer, 3);
  submit.params.echo = true;
  SimulatedCluster cluster(options_of(tokenizer.get()), 1);
  cluster.add_group(shape_of());
  const int number = cluster.submit(submit);
  cluster.run();
  EXPECT_EQ(cluster.request(number).answers[0].text,
            tokenizer->decode(submit.prompt, true) + tokenizer->decode(alone(submit, 3), true));
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

TEST(Engine, RefusesAPromptThatFillsTheModelAndCutsALongAnswer) {
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

TEST(Engine, AFullQueueRefusesAtOnceAndSaysWhenToComeBack) {
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

TEST(Engine, ADeadlineEndsWaitingAndRunningAlike) {
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

TEST(Engine, WithoutCreditARequestPausesAndGoesOnWithIt) {
  SimulatedCluster cluster(options_of(), 1);
  cluster.add_group(shape_of());
  SubmitRequest submit = prompt_of(4, 100);
  submit.credit_bytes = 100;
  const int number = cluster.submit(submit);
  cluster.run();
  const size_t paused_at = cluster.request(number).answers[0].ids.size();
  EXPECT_GT(paused_at, 0u);
  EXPECT_LT(paused_at, 20u);
  cluster.credit(number, 1 << 20);
  cluster.run();
  EXPECT_EQ(cluster.request(number).answers[0].ids, alone(submit, 100));
}

TEST(Engine, AKnownKeyNamesTheSameAnswer) {
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

TEST(Engine, KeptAnswersAreBoundedByTheirBytes) {
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

// Every stream ends: the one that hears nothing more is told so, choice by choice.
TEST(Engine, ARepeatedKeyEndsTheStreamThatItTakesOver) {
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

TEST(Engine, ResumeSaysThatAnswersAreNotKept) {
  Engine engine(options_of());
  std::vector<Effect> effects;
  engine.on(event::Resumed{1, 2, {3, 4}, 5, {0}, 100}, 1, effects);
  EXPECT_EQ(error_id(std::get<effect::Refuse>(effects.at(0)).status), "TRI-REQ-037");
}

TEST(Engine, WhatIsPromisedWaitsForTheJournal) {
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

TEST(Engine, ResultsThatMakeNoSenseChangeNothing) {
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

}  // namespace
}  // namespace trireme
