// Progress of streams that are silent, times of an answer, and the health of the Engine.
#include <gtest/gtest.h>

#include "tests/coordinator/engine_fixture.h"

namespace trireme {
namespace engine_progress_test {

constexpr int64_t kIntervalUs = 1'000'000;

SubmitRequest patient(int32_t length, int32_t max_tokens) {
  SubmitRequest submit = prompt_of(length, max_tokens);
  submit.progress_interval_us = kIntervalUs;
  return submit;
}

// The result of the first plan, a prompt's: it draws token 7.
StepResult first_result(const std::vector<Effect>& effects) {
  StepResult result;
  for (const Effect& effect : effects) {
    const auto* sent = std::get_if<effect::SendPlan>(&effect);
    if (sent == nullptr || sent->plan.step != 1) continue;
    result.epochs = sent->plan.epochs;
    result.step = 1;
    result.slots = {sent->plan.parts[0].chunks.at(0).slot};
    result.counts = {1};
    result.ids = {7};
  }
  return result;
}

TEST(EngineProgress, AWaitingRequestHearsItsPlaceOncePerInterval) {
  SimulatedCluster cluster(options_of(), 1);
  const int first = cluster.submit(patient(5, 3));
  const int second = cluster.submit(patient(7, 3));
  const int silent = cluster.submit(prompt_of(5, 3));
  const TimeUs begin = cluster.now_us();
  while (cluster.now_us() < begin + 10 * kIntervalUs) ASSERT_TRUE(cluster.run_one());
  for (const int number : {first, second}) {
    const SimulatedRequest& request = cluster.request(number);
    ASSERT_GE(request.progress.size(), 9u);
    EXPECT_LE(request.progress.size(), 10u);
    for (size_t i = 0; i < request.progress.size(); ++i) {
      EXPECT_EQ(request.progress[i].queue_position, number + 1);
      EXPECT_EQ(request.progress[i].prompt_tokens, number == first ? 5 : 7);
      if (i == 0) continue;
      EXPECT_GE(request.progress_us[i] - request.progress_us[i - 1], kIntervalUs);
    }
  }
  EXPECT_TRUE(cluster.request(silent).progress.empty());
  cluster.add_group(shape_of());
  cluster.run();
  EXPECT_TRUE(cluster.request(first).is_over());
  const TimeUs next_us = cluster.engine().next_tick_us();
  EXPECT_GE(next_us, cluster.now_us() + options_of().answer_ttl_us / 2) << "only times to live";
  EXPECT_TRUE(cluster.problems().empty()) << cluster.problems().front();
}

TEST(EngineProgress, AStreamWithTokensHearsNothingAndOneWithoutHearsOfItsPrompt) {
  SimulatedCluster cluster(options_of(), 1);
  cluster.add_group(shape_of(), 2 * kIntervalUs / 10);  // ten tokens per interval
  const int number = cluster.submit(patient(5, 60));
  cluster.run();
  EXPECT_TRUE(cluster.request(number).is_over());
  EXPECT_TRUE(cluster.request(number).progress.empty());

  EngineOptions options = options_of();
  options.max_batched_tokens = 8;
  SimulatedCluster slow(options, 1);
  slow.add_group(shape_of(), 5 * kIntervalUs);
  const int prompt = slow.submit(patient(80, 2));
  slow.run();
  const SimulatedRequest& request = slow.request(prompt);
  EXPECT_TRUE(request.is_over());
  ASSERT_GT(request.progress.size(), 3u);
  int32_t done = 0;
  for (const effect::Progress& progress : request.progress) {
    EXPECT_EQ(progress.queue_position, 0);
    EXPECT_GE(progress.prompt_done, done);
    done = progress.prompt_done;
  }
  EXPECT_GT(done, 8);
  EXPECT_LE(done, 80);
}

TEST(EngineProgress, ADisconnectedOrCancelledStreamHearsNoMore) {
  SimulatedCluster cluster(options_of(), 1);
  SubmitRequest kept = patient(5, 3);
  kept.on_disconnect = OnDisconnect::kContinue;
  kept.connection = 2;
  cluster.submit(kept);
  const int cancelled = cluster.submit(patient(5, 3));
  cluster.run(4);
  cluster.disconnect(2);
  cluster.cancel(cancelled);
  cluster.run(200);
  EXPECT_EQ(cluster.engine().next_tick_us(), 0);
  EXPECT_TRUE(cluster.problems().empty()) << cluster.problems().front();
}

TEST(EngineProgress, TimesAreCountedFromTheArrivalOfTheFrame) {
  Engine engine(options_of());
  std::vector<Effect> effects;
  SubmitRequest submit = prompt_of(5, 1);
  submit.arrived_us = 1'000;
  engine.on(event::Submitted{submit}, 5'000, effects);
  GroupShape shape = shape_of();
  engine.on(event::GroupReady{shape}, 12'000, effects);
  const StepResult result = first_result(effects);
  effects.clear();
  engine.on(event::StepDone{0, result}, 20'000, effects);
  engine.on(event::Durable{1'000}, 20'000, effects);
  const effect::Finish* finish = nullptr;
  for (const Effect& effect : effects) {
    if (const auto* end = std::get_if<effect::Finish>(&effect)) finish = end;
  }
  ASSERT_NE(finish, nullptr);
  EXPECT_EQ(finish->tokenize_us, 4'000);
  EXPECT_EQ(finish->queued_us, 11'000);
  EXPECT_EQ(finish->prefill_us, 8'000);
  EXPECT_EQ(finish->first_token_us, 19'000);
  EXPECT_EQ(finish->total_us, 19'000);
}

TEST(EngineHealth, AStepThatDoesNotEndIsUnhealthyAndAnIdleGroupIsHealthy) {
  Engine engine(options_of());
  std::vector<Effect> effects;
  EXPECT_NE(engine.health(1'000).reason, "");
  engine.on(event::GroupReady{shape_of()}, 1'000, effects);
  EXPECT_EQ(engine.health(100'000'000).reason, "");
  EXPECT_EQ(engine.health(100'000'000).token_age_ms, 0);
  engine.on(event::Submitted{prompt_of(5, 3)}, 100'000'000, effects);
  EXPECT_EQ(engine.health(105'000'000).reason, "");
  EXPECT_NE(engine.health(105'000'001).reason, "");
  engine.on(event::StepDone{0, first_result(effects)}, 106'000'000, effects);
  EXPECT_EQ(engine.health(111'000'000).reason, "");
  EXPECT_EQ(engine.health(111'000'000).token_age_ms, 5'000);
  engine.on(event::GroupLost{0, 1, {}}, 112'000'000, effects);
  EXPECT_EQ(engine.health(112'000'000).reason, "no group is ready");
}

TEST(EngineHealth, ALongStepWhoseRanksMoveIsHealthy) {
  Engine engine(options_of());
  std::vector<Effect> effects;
  engine.on(event::GroupReady{shape_of()}, 1'000, effects);
  engine.on(event::Submitted{prompt_of(5, 3)}, 2'000, effects);
  EXPECT_EQ(engine.health(20'000'000, {{0, 16'000'000}}).reason, "");
  EXPECT_NE(engine.health(20'000'000, {{0, 14'000'000}}).reason, "");
  EXPECT_NE(engine.health(20'000'000, {{1, 16'000'000}}).reason, "");
}

TEST(EngineHealth, OneGroupThatMovesIsEnough) {
  Engine engine(options_of());
  std::vector<Effect> effects;
  engine.on(event::GroupReady{shape_of()}, 1'000, effects);
  engine.on(event::Submitted{prompt_of(5, 3)}, 2'000, effects);
  EXPECT_NE(engine.health(6'000'000).reason, "");
  GroupShape other = shape_of();
  other.group = 1;
  engine.on(event::GroupReady{other}, 6'000'000, effects);
  EXPECT_EQ(engine.health(20'000'000).reason, "") << "group 1 takes requests";
}

TEST(EngineProgress, ManyReportsAreSpreadOverTurns) {
  constexpr int kRequests = 3'000;
  Engine engine(options_of());
  std::vector<Effect> effects;
  for (int i = 0; i < kRequests; ++i) {
    SubmitRequest submit = patient(5, 3);
    submit.client_tag = static_cast<uint64_t>(i) + 1;
    engine.on(event::Submitted{submit}, 1'000, effects);
  }
  engine.on(event::Durable{kRequests}, 1'000, effects);
  std::vector<int32_t> places(kRequests + 1);
  int ticks = 0;
  const TimeUs now_us = 2'000'000;
  while (engine.next_tick_us() != 0 && engine.next_tick_us() <= now_us) {
    effects.clear();
    engine.on(event::Tick{}, now_us, effects);
    ++ticks;
    EXPECT_LE(effects.size(), 256u);
    for (const Effect& effect : effects) {
      const auto& progress = std::get<effect::Progress>(effect);
      places[progress.client_tag] = progress.queue_position;
    }
  }
  EXPECT_GE(ticks, kRequests / 256);
  for (int i = 1; i <= kRequests; ++i) ASSERT_EQ(places[i], i);
}

}  // namespace engine_progress_test
}  // namespace trireme
