#include "tests/tokenizer/settings_mutation.h"

#include <gtest/gtest.h>

#include "base/text.h"

namespace trireme {
namespace settings_mutation_test {

TEST(SettingsMutations, TenThousandAreRefusedWithAnIdOrParsedCorrectly) {
  const SettingsCounts counts = mutate_settings(10'000, 1);
  EXPECT_GT(counts.refused, 2'000);
  EXPECT_GT(counts.read, 2'000);
}

TEST(SettingsMutations, AListOfTokensIsBounded) {
  std::string tokens = "{\"added_tokens_decoder\":{";
  for (int i = 0; i < 70'000; ++i) {
    tokens += format_text("{}\"{}\":{{\"content\":\"a\"}}", i > 0 ? "," : "", i);
  }
  EXPECT_FALSE(check_settings(tokens + "}}"));
  std::string extra = "{\"extra_special_tokens\":[\"a\"";
  for (int i = 0; i < 70'000; ++i) extra += ",\"a\"";
  EXPECT_FALSE(check_settings(extra + "]}"));
  std::string names = "{\"a_token\":\"a\"";
  for (int i = 0; i < 300; ++i) names += format_text(",\"a{}_token\":\"a\"", i);
  EXPECT_FALSE(check_settings(names + "}"));
}

}  // namespace settings_mutation_test
}  // namespace trireme
