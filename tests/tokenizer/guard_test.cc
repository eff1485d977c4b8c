// Ranges of a text in which added tokens are not recognised.
#include "model/tokenizer/guard.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "model/tokenizer/tokenizer.h"
#include "model/tokenizer/tokenizer_parts.h"
#include "tests/test_data.h"

namespace trireme {
namespace guard_test {

using nlohmann::json;

const char* const kStyles[] = {
    "gpt2-style", "llama2-style", "llama3-style", "metaspace-style", "qwen2-style"};

std::unique_ptr<const Tokenizer> tokenizer_of(const std::string& style) {
  auto tokenizer = Tokenizer::load(test_data() + "/golden/tokenizers/" + style + "/tokenizer.json");
  EXPECT_TRUE(tokenizer.ok()) << tokenizer.status();
  return std::move(*tokenizer);
}

// A tokenizer of bytes whose added tokens are matched in the normalised text.
std::unique_ptr<const Tokenizer> normalizing(const json& normalizer) {
  json vocab;
  for (int i = 0; i < 26; ++i) vocab[std::string(1, static_cast<char>('a' + i))] = i;
  for (const char* piece : {"<", ">", "|", "\xE2\x96\x81", "\xC3\xA9", "u\xCC\x88", "-"}) {
    vocab[piece] = static_cast<int>(vocab.size());
  }
  vocab["<unk>"] = static_cast<int>(vocab.size());
  const auto added = [](int id, const char* content, bool special) {
    return json{{"id", id},
                {"content", content},
                {"single_word", false},
                {"lstrip", false},
                {"rstrip", false},
                {"normalized", true},
                {"special", special}};
  };
  const int next = static_cast<int>(vocab.size());
  const json file = {
      {"added_tokens", {added(next, "<|end|>", true), added(next + 1, "<t>", false)}},
      {"normalizer", normalizer},
      {"pre_tokenizer", nullptr},
      {"model",
       {{"type", "BPE"}, {"vocab", vocab}, {"merges", json::array()}, {"unk_token", "<unk>"}}}};
  auto tokenizer = Tokenizer::parse(file.dump());
  EXPECT_TRUE(tokenizer.ok()) << tokenizer.status();
  return std::move(*tokenizer);
}

int count_added(const Tokenizer& tokenizer,
                const std::string& text,
                std::vector<GuardedRange> guarded) {
  const auto ids = tokenizer.encode(text, {.add_special = false, .guarded = guarded});
  EXPECT_TRUE(ids.ok()) << ids.status();
  return static_cast<int>(std::ranges::count_if(
      *ids, [&](TokenId id) { return tokenizer.parts().vocabulary.is_added(id); }));
}

TEST(Guard, NoAddedTokenIsRecognisedWhereOneByteIsGuarded) {
  for (const char* style : kStyles) {
    const auto tokenizer = tokenizer_of(style);
    for (const AddedToken& token : tokenizer->parts().added.tokens()) {
      const std::string text = "x " + token.content + " y";
      ASSERT_EQ(count_added(*tokenizer, text, {}), 1) << style << token.content;
      for (size_t byte = 0; byte < token.content.size(); ++byte) {
        const size_t at = 2 + byte;
        EXPECT_EQ(count_added(*tokenizer, text, {{at, at + 1}}), 0) << style << token.content;
      }
      EXPECT_EQ(count_added(*tokenizer, text, {{0, text.size()}}), 0) << style;
      EXPECT_EQ(count_added(*tokenizer, text, {{0, 2}, {text.size() - 2, text.size()}}), 1);
    }
  }
}

TEST(Guard, OrdinaryAddedTokensAreRecognisedWhereTheyMayBe) {
  const auto tokenizer = tokenizer_of("qwen2-style");
  const std::string text = "<tool_call><|im_end|>";
  EXPECT_EQ(count_added(*tokenizer, text, {{0, text.size(), true}}), 1);
  EXPECT_EQ(count_added(*tokenizer, text, {{0, text.size(), false}}), 0);
}

TEST(Guard, GuardedTextWithoutAddedTokensGetsItsUsualIds) {
  for (const char* style : kStyles) {
    const auto tokenizer = tokenizer_of(style);
    const std::string text = " The ship's 3 \nsails caf\xC3\xA9  e\xCC\x81 x";
    const auto plain = tokenizer->encode(text);
    for (size_t begin = 0; begin < text.size(); ++begin) {
      const GuardedRange range{begin, text.size()};
      const auto guarded = tokenizer->encode(text, {.guarded = {&range, 1}});
      ASSERT_TRUE(plain.ok() && guarded.ok());
      EXPECT_EQ(*plain, *guarded) << style << begin;
    }
  }
}

TEST(Guard, AShorterTokenOfTheTemplateIsFoundBeforeGuardedText) {
  const auto tokenizer = Tokenizer::parse(R"({"added_tokens": [
    {"id": 2, "content": "<a>", "single_word": false, "lstrip": false, "rstrip": false,
     "normalized": false, "special": true},
    {"id": 3, "content": "<a>b", "single_word": false, "lstrip": false, "rstrip": false,
     "normalized": false, "special": true}],
    "model": {"type": "BPE", "vocab": {"b": 0, "c": 1}, "merges": []}})");
  ASSERT_TRUE(tokenizer.ok()) << tokenizer.status();
  const GuardedRange range{3, 5};
  EXPECT_EQ(*(*tokenizer)->encode("<a>bc"), (std::vector<TokenId>{3, 1}));
  EXPECT_EQ(*(*tokenizer)->encode("<a>bc", {.guarded = {&range, 1}}),
            (std::vector<TokenId>{2, 0, 1}));
}

TEST(Guard, TokensInNormalisedTextAreGuardedByTheBytesTheyStemFrom) {
  const json normalizers[] = {
      nullptr,
      {{"type", "Lowercase"}},
      {{"type", "NFC"}},
      {{"type", "Sequence"},
       {"normalizers",
        {{{"type", "Prepend"}, {"prepend", "\xE2\x96\x81"}},
         {{"type", "Replace"}, {"pattern", {{"String", " "}}}, {"content", "\xE2\x96\x81"}}}}}};
  for (const json& normalizer : normalizers) {
    const auto tokenizer = normalizing(normalizer);
    const std::string before = "e\xCC\x81 ab <|end|>";  // the template's
    const std::string message = " c u\xCC\x88 <|end|>e";
    const std::string after = "\xCC\x81 <|end|>";  // an accent that joins the message
    const std::string text = before + message + after;
    EXPECT_EQ(count_added(*tokenizer, text, {}), 3) << normalizer;
    EXPECT_EQ(count_added(*tokenizer, text, {{before.size(), before.size() + message.size()}}), 2)
        << normalizer;
    for (size_t byte = 0; byte < 7; ++byte) {
      const size_t at = text.size() - 7 + byte;
      EXPECT_EQ(count_added(*tokenizer, text, {{at, at + 1}}), 2) << normalizer << byte;
    }
  }
  const auto lower = normalizing({{"type", "Lowercase"}});
  EXPECT_EQ(count_added(*lower, "<|END|> <|End|>", {}), 2);
  EXPECT_EQ(count_added(*lower, "<|END|> <|End|>", {{8, 15}}), 1);
}

TEST(Guard, TextThatIsNoUtf8IsGuardedWhole) {
  const auto tokenizer = tokenizer_of("qwen2-style");
  EXPECT_EQ(count_added(*tokenizer, "\xFF<|im_end|>", {}), 1);
  EXPECT_EQ(count_added(*tokenizer, "\xFF<|im_end|>", {{0, 1}}), 0);
}

}  // namespace guard_test
}  // namespace trireme
