#include <gtest/gtest.h>

#include "tests/tokenizer/tokenizer_mutation.h"

namespace trireme {
namespace tokenizer_mutation_long_test {

TEST(TokenizerMutations, AHundredThousandAreRefusedWithAnIdOrParsedCorrectly) {
  const MutationCounts counts = run_mutations(100'000, 2);
  EXPECT_GT(counts.refused, 20'000);
  EXPECT_GT(counts.read, 5'000);
}

}  // namespace tokenizer_mutation_long_test
}  // namespace trireme
