// The set of captured steps, and the captured step that a plan runs under.
#include "worker/step/captured_steps.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "model/step_buckets.h"

namespace trireme {
namespace captured_steps_test {

CapturedSteps captured_steps(int32_t max_batched_tokens, int32_t max_slots) {
  return {step_buckets(max_batched_tokens), step_buckets(max_slots)};
}

TEST(CapturedSteps, AreFewAndWithoutDuplicates) {
  for (const int32_t max_slots : {1, 8, 100, 256, 512}) {
    const CapturedSteps steps = captured_steps(8192, max_slots);
    std::vector<StepKey> keys(steps.keys().begin(), steps.keys().end());
    EXPECT_LE(keys.size(), 84u) << max_slots;
    std::ranges::sort(keys);
    EXPECT_EQ(std::ranges::adjacent_find(keys), keys.end());
    for (const StepKey& key : keys) {
      EXPECT_LE(key.num_rows, std::min(key.num_tokens, max_slots));
      EXPECT_TRUE(key.is_mixed || key.num_rows == key.num_tokens);
    }
  }
}

TEST(CapturedSteps, ServeEveryPlanOfABucketWithEnoughRows) {
  const std::vector<int32_t> tokens = step_buckets(8192);
  const std::vector<int32_t> rows = step_buckets(256);
  const CapturedSteps steps(tokens, rows);
  for (int32_t num_tokens = 1; num_tokens <= 512; ++num_tokens) {
    for (const int32_t num_rows : {0, 1, 2, 17, 64, 65, 200, 256}) {
      if (num_rows > num_tokens) continue;
      const GraphKey named = graph_key_of(tokens, rows, num_tokens, num_rows, false);
      const StepKey key = steps.key_for(named);
      EXPECT_EQ(key.num_tokens, named.token_bucket);
      EXPECT_GE(key.num_rows, named.row_bucket);
      EXPECT_LE(key.num_rows, std::max(64, 2 * named.row_bucket));
      EXPECT_TRUE(key.is_mixed);
    }
    const GraphKey named = graph_key_of(tokens, rows, num_tokens, num_tokens, true);
    const StepKey decode = {named.token_bucket, named.row_bucket, false};
    EXPECT_EQ(steps.key_for(named), named.token_bucket > 0 ? decode : StepKey());
  }
}

TEST(CapturedSteps, ServeNoOtherPlan) {
  const CapturedSteps steps = captured_steps(64, 8);
  EXPECT_EQ(steps.key_for({}), StepKey());
  EXPECT_EQ(steps.key_for({96, 8, false}), StepKey());
  EXPECT_EQ(steps.key_for({64, 16, false}), StepKey());
  EXPECT_EQ(steps.key_for({32, 32, true}), StepKey());
  EXPECT_EQ(steps.key_for({5, 1, false}), StepKey());
  EXPECT_EQ(CapturedSteps().key_for({1, 1, true}), StepKey());
}

}  // namespace captured_steps_test
}  // namespace trireme
