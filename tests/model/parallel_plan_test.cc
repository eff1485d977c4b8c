#include "model/parallel_plan.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/model/model_shape.h"

namespace trireme {
namespace parallel_plan_test {

using testing::ElementsAre;
using testing::HasSubstr;

std::vector<int64_t> stages(const ModelConfig& config, int pp) {
  const ParallelPlan plan = ParallelPlan::make(config, 1, pp).value();
  std::vector<int64_t> sizes;
  int64_t next = 0;
  for (int stage = 0; stage < pp; ++stage) {
    EXPECT_EQ(plan.layers(stage).begin, next);
    next = plan.layers(stage).end;
    sizes.push_back(plan.layers(stage).size());
  }
  EXPECT_EQ(next, config.num_layers);
  return sizes;
}

TEST(ParallelPlan, StagesAreBalancedByWeight) {
  EXPECT_THAT(stages(model_shape(8, 8, 8), 4), ElementsAre(2, 2, 2, 2));
  for (const int pp : {2, 3, 4}) {
    for (const int64_t size : stages(model_shape(5, 8, 8), pp)) {
      EXPECT_GE(size, 5 / pp);
      EXPECT_LE(size, 5 / pp + 1);
    }
  }
  EXPECT_THAT(stages(model_shape(5, 8, 8), 5), ElementsAre(1, 1, 1, 1, 1));
}

TEST(ParallelPlan, StagesWithEmbeddingOrHeadGetFewerLayers) {
  // The vocabulary has the weight of many layers: the stages that hold it get fewer layers.
  const auto sizes = stages(model_shape(12, 8, 8, 60'000), 3);
  EXPECT_GT(sizes[1], sizes[0]);
  EXPECT_GT(sizes[1], sizes[2]);
}

TEST(ParallelPlan, RanksOfAStageAreNeighbours) {
  const ParallelPlan plan = ParallelPlan::make(model_shape(8, 8, 4), 4, 2).value();
  EXPECT_EQ(plan.num_ranks(), 8);
  EXPECT_EQ(plan.rank_of(1, 2), 6);
  EXPECT_EQ(plan.stage_of(6), 1);
  EXPECT_EQ(plan.tensor_index_of(6), 2);
  EXPECT_EQ(plan.answering_rank(), 4);
}

TEST(ParallelPlan, AllowedTensorParallelSizesDivideTheHeads) {
  EXPECT_THAT(allowed_tensor_parallel(model_shape(4, 8, 4), "cpu"), ElementsAre(1, 2, 4, 8));
  EXPECT_THAT(allowed_tensor_parallel(model_shape(4, 6, 2), "cpu"), ElementsAre(1, 2));
  EXPECT_THAT(allowed_tensor_parallel(model_shape(4, 8, 1), "cpu"), ElementsAre(1, 2, 4, 8));
  EXPECT_THAT(allowed_tensor_parallel(model_shape(4, 7, 7), "cpu"), ElementsAre(1));
}

TEST(ParallelPlan, RefusesAnImpossiblePartitionAndListsThoseThatWork) {
  const Status tensor = ParallelPlan::make(model_shape(4, 6, 2), 4, 1).status();
  EXPECT_EQ(error_id(tensor), "TRI-PLAN-001");
  EXPECT_THAT(message_of(tensor), HasSubstr("-tp 1 or 2"));
  const Status pipeline = ParallelPlan::make(model_shape(4, 8, 8), 1, 5).status();
  EXPECT_EQ(error_id(pipeline), "TRI-PLAN-002");
  EXPECT_THAT(message_of(pipeline), HasSubstr("-pp 1 to 4"));
  EXPECT_FALSE(ParallelPlan::make(model_shape(4, 8, 8), 0, 1).ok());
  EXPECT_FALSE(ParallelPlan::make(model_shape(4, 8, 8), 1, -1).ok());
}

TEST(ParallelPlan, StagesCoverTheLayersAndAreBalancedWithTheHead) {
  ModelConfig config = model_shape(5, 8, 4);
  const ParallelPlan even = ParallelPlan::make(config, 1, 4).value();
  int64_t next = 0;
  for (int stage = 0; stage < 4; ++stage) {
    EXPECT_EQ(even.layers(stage).begin, next);
    EXPECT_GE(even.layers(stage).size(), 1);
    next = even.layers(stage).end;
  }
  EXPECT_EQ(next, 5);
  config.vocabulary_size = 100'000;  // the head outweighs all layers
  const ParallelPlan heavy = ParallelPlan::make(config, 1, 2).value();
  EXPECT_EQ(heavy.layers(1).size(), 1);
}

}  // namespace parallel_plan_test
}  // namespace trireme
