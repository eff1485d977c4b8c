#include <gtest/gtest.h>

#include "tests/tokenizer/settings_mutation.h"

namespace trireme {
namespace settings_mutation_long_test {

TEST(SettingsMutations, AHundredThousandAreRefusedWithAnIdOrParsedCorrectly) {
  const SettingsCounts counts = mutate_settings(100'000, 2);
  EXPECT_GT(counts.refused, 20'000);
  EXPECT_GT(counts.read, 20'000);
}

}  // namespace settings_mutation_long_test
}  // namespace trireme
