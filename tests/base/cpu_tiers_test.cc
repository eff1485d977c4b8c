#include "base/cpu_tiers.h"

#include <gtest/gtest.h>

namespace trireme {
namespace cpu_tiers_test {

TEST(CpuTiers, TheBestTierIsSupportedAndNoHigherOneIs) {
  const int64_t best = cpu_tier_index(best_cpu_tier());
  ASSERT_GE(best, 0);
  for (size_t i = 0; i < kCpuTiers.size(); ++i) {
    if (static_cast<int64_t>(i) >= best) {
      EXPECT_EQ(is_cpu_tier_supported(kCpuTiers[i]), static_cast<int64_t>(i) == best);
    }
  }
  EXPECT_TRUE(is_cpu_tier_supported("portable"));
}

TEST(CpuTiers, UnknownNamesAreNotTiers) {
  EXPECT_EQ(cpu_tier_index("avx1024"), -1);
  EXPECT_FALSE(is_cpu_tier_supported("avx1024"));
  EXPECT_FALSE(is_cpu_tier_supported("auto"));
}

TEST(CpuTiers, EveryTierAndAutoCanBeChosen) {
  const std::vector<std::string> choices = isa_choices();
  EXPECT_EQ(choices.front(), "auto");
  EXPECT_EQ(choices.size(), kCpuTiers.size() + 1);
}

}  // namespace cpu_tiers_test
}  // namespace trireme
