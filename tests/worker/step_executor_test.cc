// The executor on one rank without MPI: plans that are refused, and errors that fail one request.
#include "worker/step/step_executor.h"

#include <gtest/gtest.h>

#include <functional>
#include <limits>

#include "tests/cluster/scripted_plans.h"
#include "worker/comm/group_comms.h"
#include "worker/worker.h"

namespace trireme {
namespace step_executor_test {

class Results final : public ResultSink {
 public:
  void on_result(StepResult& result) override { results.push_back(result); }
  void on_probe(Probe&) override {}
  std::vector<StepResult> results;
};

class Executor : public testing::Test {
 protected:
  Executor() : comms_(solo_group()) {
    auto source = open_model(TRIREME_TEST_DATA "/golden/models/llama-gqa");
    EXPECT_TRUE(source.ok()) << message_of(source.status());
    source_ = std::make_unique<ModelSource>(std::move(source).value());
    WorkerOptions options;
    options.threads = 1;
    options.max_slots = 4;
    options.max_batched_tokens = 64;
    options.max_model_len = 96;
    auto worker = Worker::make(options, *source_, comms_, progress_, nullptr);
    EXPECT_TRUE(worker.ok()) << message_of(worker.status());
    worker_ = std::move(worker).value();
    EXPECT_TRUE(worker_->start(10, results_).ok());
  }

  // After step 1, slot 0 is open with one page and three computed tokens; its next token is drawn.
  StepPlan first_plan() {
    StepPlan plan;
    plan.step = 1;
    plan.parts.resize(1);
    OpenedSlot opened;
    opened.num_prompt = 3;
    opened.sampling.temperature = 0;
    plan.parts[0].opened = {opened};
    plan.parts[0].grants = {{0, 0}};
    plan.parts[0].chunks = {{0, 0, true, {5, 6, 7}}};
    return plan;
  }
  StepPlan second_plan() {
    StepPlan plan;
    plan.step = 2;
    plan.wait_ids_through = 1;
    plan.parts.resize(1);
    return plan;
  }
  Status execute(const StepPlan& plan) { return worker_->executor().execute(plan); }

  GroupComms comms_;
  Progress progress_;
  Results results_;
  std::unique_ptr<ModelSource> source_;
  std::unique_ptr<Worker> worker_;
};

TEST_F(Executor, AnswersEveryPlanEvenAnEmptyOne) {
  ASSERT_TRUE(execute(first_plan()).ok());
  ASSERT_TRUE(execute(second_plan()).ok());
  ASSERT_EQ(results_.results.size(), 2u);
  EXPECT_EQ(results_.results[0].ids.size(), 1u);
  EXPECT_EQ(results_.results[1].step, 2);
  EXPECT_TRUE(results_.results[1].ids.empty());
}

struct BadPlan {
  std::string id;
  std::function<void(StepPlan&)> spoil;
};

TEST_F(Executor, RefusesEveryBrokenPlanByName) {
  const auto opened = [](SlotId slot, int32_t computed, int32_t prompt) {
    OpenedSlot opened;
    opened.slot = slot;
    opened.computed = computed;
    opened.num_prompt = prompt;
    return opened;
  };
  const auto penalised = [&] {
    OpenedSlot slot = opened(1, 2, 3);
    slot.sampling.presence_penalty = 1;
    return slot;
  };
  const std::vector<TokenId> many(65, 1);
  const std::vector<BadPlan> bad = {
      {"TRI-STEP-001", [](StepPlan& plan) { plan.parts[0].closed = {4}; }},
      {"TRI-STEP-001", [](StepPlan& plan) { plan.parts[0].decodes = {-1}; }},
      {"TRI-STEP-001", [&](StepPlan& plan) { plan.parts[0].opened = {opened(9, 0, 1)}; }},
      {"TRI-STEP-002", [&](StepPlan& plan) { plan.parts[0].opened = {opened(0, 0, 1)}; }},
      {"TRI-STEP-003", [](StepPlan& plan) { plan.parts[0].closed = {2}; }},
      {"TRI-STEP-003",
       [](StepPlan& plan) {
         plan.parts[0].closed = {0, 0};
       }},
      {"TRI-STEP-003",
       [](StepPlan& plan) {
         plan.parts[0].chunks = {{3, 0, true, {1}}};
       }},
      {"TRI-STEP-004",
       [](StepPlan& plan) {
         plan.parts[0].grants = {{0, 10}};
       }},
      {"TRI-STEP-004",
       [](StepPlan& plan) {
         plan.parts[0].copies = {{0, -1}};
       }},
      {"TRI-STEP-005",
       [](StepPlan& plan) {
         plan.parts[0].grants = {{0, 1}, {0, 2}, {0, 3}};
       }},
      {"TRI-STEP-006",
       [](StepPlan& plan) {
         plan.parts[0].chunks = {{0, 2, true, {1}}};
       }},
      {"TRI-STEP-006",
       [](StepPlan& plan) {
         plan.parts[0].chunks = {{0, 3, true, {}}};
       }},
      {"TRI-STEP-007",
       [](StepPlan& plan) {
         plan.parts[0].chunks = {{0, 3, true, std::vector<TokenId>(94, 1)}};
       }},
      {"TRI-STEP-008",
       [&](StepPlan& plan) {
         plan.parts[0].grants = {{0, 1}, {0, 2}};
         plan.parts[0].chunks = {{0, 3, true, many}};
       }},
      {"TRI-STEP-009",
       [&](StepPlan& plan) {
         plan.parts[0].opened = {opened(1, 0, 1)};
         plan.parts[0].grants = {{1, 1}};
         plan.parts[0].decodes = {1};
       }},
      {"TRI-STEP-010",
       [](StepPlan& plan) {
         plan.parts[0].chunks = {{0, 3, true, std::vector<TokenId>(30, 1)}};
       }},
      {"TRI-STEP-012", [&](StepPlan& plan) { plan.parts[0].opened = {opened(1, -1, 1)}; }},
      {"TRI-STEP-012", [&](StepPlan& plan) { plan.parts[0].opened = {opened(1, 97, 1)}; }},
      {"TRI-STEP-013", [&](StepPlan& plan) { plan.parts[0].opened = {penalised()}; }},
      {"TRI-STEP-015",
       [](StepPlan& plan) {
         plan.parts[0].decodes = {0, 0};
       }},
      {"TRI-STEP-016", [](StepPlan& plan) { plan.step = 3; }},
      {"TRI-STEP-017", [](StepPlan& plan) { plan.parts.clear(); }},
      {"TRI-STEP-017", [](StepPlan& plan) { plan.late = true; }},
      {"TRI-STEP-018", [](StepPlan& plan) { plan.wait_ids_through = 2; }},
      {"TRI-STEP-020", [](StepPlan& plan) { plan.parts[0].scores = {{.slot = 0, .position = 2}}; }},
      {"TRI-STEP-022",
       [](StepPlan& plan) {
         plan.parts[0].probes = {{0, 3, -1}};
       }},
      {"TRI-STEP-022",
       [](StepPlan& plan) {
         plan.parts[0].decodes = {0};
         plan.parts[0].probes = {{0, 3, 5}};
       }},
  };
  for (const BadPlan& each : bad) {
    ASSERT_TRUE(worker_->start(10, results_).ok());  // a fresh epoch
    ASSERT_TRUE(execute(first_plan()).ok());
    StepPlan plan = second_plan();
    each.spoil(plan);
    const Status status = execute(plan);
    EXPECT_EQ(error_id(status), each.id) << message_of(status);
  }
}

TEST_F(Executor, AnIdBeyondTheVocabularyFailsItsRequestAlone) {
  StepPlan plan = first_plan();
  plan.parts[0].opened.push_back(plan.parts[0].opened[0]);
  plan.parts[0].opened[1].slot = 1;
  plan.parts[0].grants.push_back({1, 1});
  plan.parts[0].chunks.push_back({1, 0, true, {5, 320}});
  ASSERT_TRUE(execute(plan).ok());
  const StepResult& result = results_.results.at(0);
  EXPECT_EQ(result.slots, std::vector<SlotId>{0});
  ASSERT_EQ(result.failures.size(), 1u);
  EXPECT_EQ(result.failures[0].slot, 1);
  EXPECT_NE(result.failures[0].message.find("TRI-STEP-011"), std::string::npos);
}

TEST_F(Executor, ARowWithoutADrawableTokenFailsItsRequestAlone) {
  for (const float top_p : {1.0f, 0.5f}) {  // by shard, and as a whole row
    ASSERT_TRUE(worker_->start(10, results_).ok());
    results_.results.clear();
    StepPlan plan = first_plan();
    plan.parts[0].opened.push_back(plan.parts[0].opened[0]);
    plan.parts[0].opened[1].slot = 1;
    plan.parts[0].opened[1].sampling.temperature = 1;
    plan.parts[0].opened[1].sampling.top_p = top_p;
    for (TokenId id = 0; id < 320; ++id) {
      plan.parts[0].opened[1].sampling.logit_bias.push_back(
          {id, -std::numeric_limits<float>::infinity()});
    }
    plan.parts[0].grants.push_back({1, 1});
    plan.parts[0].chunks.push_back({1, 0, true, {5}});
    ASSERT_TRUE(execute(plan).ok());
    const StepResult& result = results_.results.at(0);
    EXPECT_EQ(result.slots, std::vector<SlotId>{0});
    ASSERT_EQ(result.failures.size(), 1u);
    EXPECT_NE(result.failures[0].message.find("TRI-STEP-023"), std::string::npos);

    StepPlan next = second_plan();  // plans in flight still name the failed slot
    next.parts[0].decodes = {0, 1};
    ASSERT_TRUE(execute(next).ok());
    EXPECT_EQ(results_.results.at(1).slots, std::vector<SlotId>{0});
    EXPECT_TRUE(results_.results.at(1).failures.empty());
  }
}

TEST_F(Executor, ASamplingValueOutOfRangeFailsItsRequestAlone) {
  StepPlan plan = first_plan();
  plan.parts[0].opened[0].sampling.temperature = -1;
  ASSERT_TRUE(execute(plan).ok());
  ASSERT_EQ(results_.results.at(0).failures.size(), 1u);
  EXPECT_NE(results_.results[0].failures[0].message.find("TRI-STEP-014"), std::string::npos);
}

TEST_F(Executor, IdsBeyondTheTokenizerAreNeverDrawn) {
  WorkerOptions options = worker_->options();
  options.vocabulary_limit = 40;
  auto worker = Worker::make(options, *source_, comms_, progress_, nullptr);
  ASSERT_TRUE(worker.ok()) << message_of(worker.status());
  Results results;
  ASSERT_TRUE((*worker)->start(10, results).ok());
  ScriptedRequest request;
  request.prompt = {1, 2, 3};
  request.new_tokens = 60;
  request.sampling.temperature = 5;
  ScriptLimits limits;
  limits.max_batched_tokens = 64;
  for (const StepPlan& plan : plan_requests({request}, limits, 1)) {
    ASSERT_TRUE((*worker)->executor().execute(plan).ok());
  }
  int drawn = 0;
  for (const StepResult& result : results.results) {
    for (const TokenId id : result.ids) {
      EXPECT_LT(id, 40);
      ++drawn;
    }
  }
  EXPECT_EQ(drawn, 60);
}

}  // namespace step_executor_test
}  // namespace trireme
