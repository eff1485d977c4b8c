#include "model/step_buckets.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace trireme {
namespace step_buckets_test {

using testing::ElementsAre;

TEST(StepBuckets, AreFineForSmallStepsAndEndAt512) {
  EXPECT_THAT(step_buckets(100), ElementsAre(1, 2, 4, 8, 16, 24, 32, 48, 64, 96));
  const std::vector<int32_t> all = step_buckets(8192);
  EXPECT_EQ(all.back(), 512);
  EXPECT_EQ(all.size(), 23u);
  for (size_t i = 9; i < all.size(); ++i) EXPECT_EQ(all[i] - all[i - 1], 32);
}

TEST(StepBuckets, DoNotExceedTheMaximumStep) {
  EXPECT_THAT(step_buckets(1), ElementsAre(1));
  EXPECT_THAT(step_buckets(17), ElementsAre(1, 2, 4, 8, 16));
  EXPECT_TRUE(step_buckets(0).empty());
}

TEST(GraphKey, IsTheSmallestBucketThatHoldsTheStep) {
  const std::vector<int32_t> tokens = step_buckets(512);
  const std::vector<int32_t> rows = step_buckets(16);
  EXPECT_EQ(graph_key_of(tokens, rows, 5, 5, true), (GraphKey{8, 8, true}));
  EXPECT_EQ(graph_key_of(tokens, rows, 65, 16, false), (GraphKey{96, 16, false}));
  EXPECT_EQ(graph_key_of(tokens, rows, 512, 1, false), (GraphKey{512, 1, false}));
}

TEST(GraphKey, OfAStepThatDrawsNothingHasTheSmallestRowBucket) {
  EXPECT_EQ(graph_key_of({4, 8}, {2, 4}, 3, 0, false), (GraphKey{4, 2, false}));
}

TEST(GraphKey, IsNoneForAStepAboveTheLargestBucket) {
  const std::vector<int32_t> some = {1, 2, 4};
  EXPECT_EQ(graph_key_of(some, some, 5, 1, true), GraphKey());
  EXPECT_EQ(graph_key_of(some, some, 1, 5, true), GraphKey());
  EXPECT_EQ(graph_key_of({}, some, 1, 1, true), GraphKey());
  EXPECT_EQ(graph_key_of({}, {}, 1, 1, true), GraphKey());
}

}  // namespace step_buckets_test
}  // namespace trireme
