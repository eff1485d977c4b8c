#include "tests/tokenizer/tokenizer_mutation.h"

#include <gtest/gtest.h>

#include "model/tokenizer/tokenizer.h"
#include "tests/allocation_peak.h"

namespace trireme {
namespace tokenizer_mutation_test {

TEST(TokenizerMutations, TenThousandAreRefusedWithAnIdOrParsedCorrectly) {
  const MutationCounts counts = run_mutations(10'000, 1);
  EXPECT_GT(counts.refused, 2'000);
  EXPECT_GT(counts.read, 500);
  RecordProperty("refused", static_cast<int>(counts.refused));
  RecordProperty("read", static_cast<int>(counts.read));
}

// A dense file: short pieces, no spaces, a merge for every split of a piece.
TEST(TokenizerMemory, StaysBelowFourTimesADenseFile) {
  std::string vocab;
  std::string merges;
  int id = 0;
  const std::string letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMN";
  const auto add = [&](const std::string& piece) {
    vocab += format_text("{}\"{}\":{}", vocab.empty() ? "" : ",", piece, id++);
  };
  for (const char a : letters) add(std::string(1, a));
  for (const char a : letters) {
    for (const char b : letters) {
      add({a, b});
      merges += format_text("{}\"{}{}{}{}", merges.empty() ? "" : ",", a, ' ', b, '"');
    }
  }
  for (const char a : letters) {
    for (const char b : letters) {
      for (const char c : letters) {
        add({a, b, c});
        merges += format_text(",\"{}{}{}{}\",\"{}{}{}{}{}", a, ' ', b, c, a, b, ' ', c, '"');
      }
    }
  }
  const std::string text = format_text(
      "{{\"model\":{{\"type\":\"BPE\",\"vocab\":{{{}}},\"merges\":[{}]}}}}", vocab, merges);
  const AllocationPeak peak;
  const auto tokenizer = Tokenizer::parse(text);
  ASSERT_TRUE(tokenizer.ok()) << message_of(tokenizer.status());
  EXPECT_LT(peak.bytes() + text.size(), 4 * text.size());
}

TEST(TokenizerMemory, StaysBelowFourTimesAFileOfRepeatedMerges) {
  std::string text =
      "{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0,\"b\":1,\"ab\":2},\"merges\":[\"a b\"";
  for (int i = 0; i < 200'000; ++i) text += ",\"a b\"";
  text += "]}}";
  const AllocationPeak peak;
  ASSERT_TRUE(Tokenizer::parse(text).ok());
  EXPECT_LT(peak.bytes() + text.size(), 4 * text.size());
}

}  // namespace tokenizer_mutation_test
}  // namespace trireme
