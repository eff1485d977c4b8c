#include <gtest/gtest.h>

#include "tests/model/reader_mutation.h"

namespace trireme {
namespace reader_mutation_long_test {

TEST(ConfigMutations, AHundredThousandAreRefusedWithAnIdOrParsedCorrectly) {
  EXPECT_GT(mutate_configs(100'000, 2).read, 20'000);
}

TEST(SafetensorsMutations, AHundredThousandAreRefusedWithAnIdOrParsedCorrectly) {
  EXPECT_GT(mutate_headers(100'000, 2).read, 2'000);
}

TEST(IndexMutations, AHundredThousandAreRefusedWithAnIdOrParsedCorrectly) {
  EXPECT_GT(mutate_indexes(100'000, 2).read, 2'000);
}

}  // namespace reader_mutation_long_test
}  // namespace trireme
