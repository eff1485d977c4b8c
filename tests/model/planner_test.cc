#include "model/planner.h"

#include <gtest/gtest.h>

#include "tests/model/model_shape.h"

namespace trireme {
namespace planner_test {

TEST(Planner, WeightsOfAllRanksAddUpToTheModelWithoutReplicas) {
  const ModelConfig config = model_shape(4, 8, 4);
  PlanRequest request;
  const int64_t whole = plan_group(config, request).value().weight_bytes();
  for (const int tp : {2, 4, 8}) {
    request.tp = tp;
    request.pp = 2;
    const GroupPlan plan = plan_group(config, request).value();
    int64_t once = 0;
    for (const RankPlan& rank : plan.ranks) {
      once += rank.weight_bytes - (rank.tensor_index > 0 ? rank.replicated_bytes : 0);
    }
    // With tp 8 each KV head is held by two ranks; everything else is held once.
    if (tp <= 4) {
      EXPECT_EQ(once, whole) << tp;
    } else {
      EXPECT_GE(once, whole);
    }
    EXPECT_EQ(plan.ranks.size(), static_cast<size_t>(2 * tp));
  }
}

TEST(Planner, MoreMemoryHoldsMorePagesAndTooLittleReportsTheShortage) {
  const ModelConfig config = model_shape(4, 8, 4);
  PlanRequest request;
  request.rank_memory_bytes = int64_t{1} << 30;
  const GroupPlan roomy = plan_group(config, request).value();
  EXPECT_TRUE(roomy.fits);
  request.rank_memory_bytes = roomy.ranks[0].fixed_bytes() + 10 * roomy.ranks[0].page_bytes;
  const GroupPlan tight = plan_group(config, request).value();
  EXPECT_LT(tight.pages, roomy.pages);
  EXPECT_LE(tight.pages, 10);
  request.rank_memory_bytes = 1 << 20;
  const GroupPlan none = plan_group(config, request).value();
  EXPECT_FALSE(none.fits);
  EXPECT_GT(none.short_bytes, 0);
}

GroupPlan gpu_plan(const ModelConfig& config, PlanRequest request = {}) {
  request.backend = "cuda";
  return plan_group(config, request).value();
}

TEST(PlannerOnGpus, PagesHave64TokensOfTheStoredHeadWidth) {
  for (const auto& [head_dim, stored] : {std::pair(16, 64), {64, 64}, {72, 80}, {128, 128}}) {
    ModelConfig config = model_shape(4, 8, 4);
    config.head_dim = head_dim;
    const GroupPlan plan = gpu_plan(config);
    EXPECT_EQ(plan.page_tokens, 64);
    EXPECT_EQ(plan.ranks[0].page_bytes, int64_t{2} * 64 * stored * 2 * 4 * 4) << head_dim;
  }
}

TEST(PlannerOnGpus, HeadsBeyondTheKernelsAreRefused) {
  ModelConfig config = model_shape(4, 8, 4);
  config.head_dim = 320;
  PlanRequest request;
  request.backend = "cuda";
  EXPECT_EQ(error_id(plan_group(config, request).status()), "TRI-CUDA-003");
  request.backend = "cpu";
  EXPECT_TRUE(plan_group(config, request).ok());
}

TEST(PlannerOnGpus, WeightsEqualThoseOfTheCpuExceptForPadding) {
  const ModelConfig config = model_shape(4, 8, 4, 384);  // rows by 128, columns by 64
  EXPECT_EQ(gpu_plan(config).weight_bytes(), plan_group(config, {}).value().weight_bytes());
  ModelConfig odd = config;
  // Padded are the columns of the down projection, and the rows of gate and up, which are one
  // weight.
  odd.intermediate_size = 500;
  EXPECT_EQ(gpu_plan(odd).weight_bytes() - plan_group(odd, {}).value().weight_bytes(),
            4 * config.hidden_size * (12 + 24) * 2);
  ModelConfig few = config;
  few.vocabulary_size = 300;  // embedding and head
  EXPECT_EQ(gpu_plan(few).weight_bytes(), gpu_plan(config).weight_bytes());
}

TEST(PlannerOnGpus, FixedBytesAreTheSumOfAllButPages) {
  PlanRequest request;
  request.tp = 2;
  const RankPlan rank = gpu_plan(model_shape(4, 8, 4), request).ranks[0];
  EXPECT_EQ(rank.process_bytes, 0);
  EXPECT_EQ(rank.workspace_bytes, int64_t{32} << 20);
  EXPECT_EQ(rank.module_bytes + rank.reserve_bytes, int64_t{512} << 20);
  EXPECT_GE(rank.communicator_bytes, int64_t{3} << 20);  // two pieces of sums, 2 x 2 of exchanges
  EXPECT_EQ(rank.fixed_bytes(),
            rank.weight_bytes + rank.communicator_bytes + rank.activation_bytes +
                rank.workspace_bytes + rank.module_bytes + rank.reserve_bytes);
}

TEST(PlannerOnGpus, TheWorkspaceStagesGateAndUpExceptWhenInvariant) {
  ModelConfig config = model_shape(4, 8, 4);
  config.intermediate_size = 14336;
  PlanRequest request;
  request.max_batched_tokens = 8192;
  EXPECT_EQ(gpu_plan(config, request).ranks[0].workspace_bytes, int64_t{128} << 20);
  request.tp = 4;
  EXPECT_EQ(gpu_plan(config, request).ranks[0].workspace_bytes, int64_t{44} << 20);
  request.invariant = true;
  EXPECT_EQ(gpu_plan(config, request).ranks[0].workspace_bytes, int64_t{32} << 20);
}

// Per token, 16-bit: normed, delta and two residuals of the hidden size, qkv, q, the attention
// output and the gated MLP. In each of five records 16 bytes per token, and 8 bytes for one change
// of the page table per 64 tokens.
TEST(PlannerOnGpus, ActivationBytesGrowWithTheTokensAsComputedByHand) {
  const ModelConfig config = model_shape(4, 8, 4);
  PlanRequest request;
  request.max_slots = 1;
  request.max_batched_tokens = 1000;
  const int64_t once = gpu_plan(config, request).ranks[0].activation_bytes;
  request.max_batched_tokens = 2000;
  const int64_t twice = gpu_plan(config, request).ranks[0].activation_bytes;
  const int64_t columns = 4 * 128 + (8 + 2 * 4) * 16 + 128 + 128 + 4 * 128;
  const int64_t tiles = 2 * 2000 / 128 - 2 * 1000 / 128;  // of prefill attention, per KV head
  EXPECT_EQ(twice - once,
            1000 * (2 * columns + 5 * 16) + 5 * 8 * (2000 / 64 - 1000 / 64) + 4 * tiles * 64);
}

TEST(PlannerOnGpus, AllReducesSendTheComputeDtypeAndSkipTheEmbedding) {
  PlanRequest request;
  request.tp = 2;
  const ModelConfig config = model_shape(4, 8, 4);
  const int64_t cpu_sums = 2 * config.num_layers + 1;
  EXPECT_EQ(2 * gpu_plan(config, request).wire_bytes * cpu_sums,
            plan_group(config, request)->wire_bytes * (cpu_sums - 1));
}

TEST(PlannerOnGpus, EveryRankOfTheFirstStageHasTheWholeEmbedding) {
  ModelConfig config = model_shape(4, 8, 4, 512);
  PlanRequest request;
  request.tp = 2;
  request.pp = 2;
  const int64_t table = 512 * config.hidden_size * 2;
  const auto bytes = [&](int rank) { return gpu_plan(config, request).ranks[rank].weight_bytes; };
  const int64_t untied = bytes(0) - table;                           // layers alone
  EXPECT_EQ(bytes(2) - untied, table / 2 + config.hidden_size * 4);  // head, final norm
  config.tied_embeddings = true;  // the last stage has its part, as head
  EXPECT_EQ(bytes(0) - untied, table);
  EXPECT_EQ(bytes(2) - untied, table / 2 + config.hidden_size * 4);
  request.pp = 1;  // once, and spare rows
  EXPECT_EQ(bytes(0) - 2 * untied, table + 128 * config.hidden_size * 2 + config.hidden_size * 4);
}

TEST(Planner, PartitionsThatFitComeFirst) {
  PlanRequest request;
  request.rank_memory_bytes = int64_t{1} << 30;
  const auto plans = rank_partitions(model_shape(4, 8, 4), request, 8);
  ASSERT_GT(plans.size(), 5u);
  for (size_t i = 1; i < plans.size(); ++i) EXPECT_GE(plans[i - 1].fits, plans[i].fits);
  for (const GroupPlan& plan : plans) EXPECT_LE(plan.ranks.size(), 8u);
}

}  // namespace planner_test
}  // namespace trireme
