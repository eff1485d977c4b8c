#include "tests/model/reader_mutation.h"

#include <gtest/gtest.h>

#include "base/text.h"

namespace trireme {
namespace reader_mutation_test {

TEST(ConfigMutations, TenThousandAreRefusedWithAnIdOrParsedCorrectly) {
  const ReaderCounts counts = mutate_configs(10'000, 1);
  EXPECT_GT(counts.refused, 2'000);
  EXPECT_GT(counts.read, 2'000);
}

TEST(SafetensorsMutations, TenThousandAreRefusedWithAnIdOrParsedCorrectly) {
  const ReaderCounts counts = mutate_headers(10'000, 1);
  EXPECT_GT(counts.refused, 2'000);
  EXPECT_GT(counts.read, 200);
}

TEST(IndexMutations, TenThousandAreRefusedWithAnIdOrParsedCorrectly) {
  const ReaderCounts counts = mutate_indexes(10'000, 1);
  EXPECT_GT(counts.refused, 2'000);
  EXPECT_GT(counts.read, 200);
}

std::string repeated(const std::string& text, int times) {
  std::string all;
  for (int i = 0; i < times; ++i) all += text;
  return all;
}

// Dense hostile files: the maximum of memory per byte of text.
TEST(ReaderMemory, StaysBelowFourTimesADenseConfig) {
  EXPECT_FALSE(check_config("{\"model_type\":\"llama\",\"eos_token_id\":[1" +
                            repeated(",1", 200'000) + "]}"));
  EXPECT_FALSE(check_config(repeated("[", 200'000)));
  EXPECT_FALSE(check_config("{\"model_type\":\"llama\",\"layer_types\":[\"a\"" +
                            repeated(",\"a\"", 200'000) + "]}"));
  std::string members = "{\"model_type\":\"llama\"";
  for (int i = 0; i < 50'000; ++i) members += format_text(",\"{}\":1", i);
  EXPECT_FALSE(check_config(members + "}"));
}

TEST(ReaderMemory, StaysBelowFourTimesADenseHeader) {
  std::string header = "{";
  for (int i = 0; i < 50'000; ++i) {
    header += format_text(
        "{}\"{}\":{{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[0,0]}}", i > 0 ? "," : "", i);
  }
  header += "}";
  EXPECT_TRUE(check_header(header, 8 + static_cast<int64_t>(header.size())));
  std::string deep = "{";
  for (int i = 0; i < 10'000; ++i) {
    deep += format_text("{}\"{}\":{{\"dtype\":\"U8\",\"shape\":[0{}],\"data_offsets\":[0,0]}}",
                        i > 0 ? "," : "",
                        i,
                        repeated(",0", 31));
  }
  deep += "}";
  EXPECT_TRUE(check_header(deep, 8 + static_cast<int64_t>(deep.size())));
  EXPECT_FALSE(check_header("{\"a\":{\"dtype\":\"U8\",\"shape\":[1" + repeated(",1", 200'000) +
                                "],\"data_offsets\":[0,1]}}",
                            500'000));
  EXPECT_FALSE(check_header(repeated("{\"a\":", 100'000), 600'000));
}

TEST(ReaderMemory, StaysBelowFourTimesADenseIndex) {
  std::string text = "{\"weight_map\":{\"a\":\"s\"";
  for (int i = 0; i < 100'000; ++i) text += format_text(",\"{}\":\"s\"", i);
  EXPECT_TRUE(check_index(text + "}}"));
  EXPECT_FALSE(check_index(repeated("{\"weight_map\":", 100'000)));
}

TEST(Readers, ADuplicateNameInAHeaderIsRefused) {
  const std::string entry = "{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[0,0]}";
  EXPECT_FALSE(check_header("{\"a\":" + entry + ",\"a\":" + entry + "}", 1000));
}

}  // namespace reader_mutation_test
}  // namespace trireme
