// Properties of a tokenizer besides the ids of the reference: error ids, bounds, threads.
#include "model/tokenizer/tokenizer.h"

#include <gtest/gtest.h>

#include <atomic>
#include <climits>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <thread>

#include "model/tokenizer/detokenizer.h"

namespace trireme {
namespace tokenizer_test {

using nlohmann::json;
using Ids = std::vector<TokenId>;

json style(const std::string& name) {
  std::ifstream file(std::string(TRIREME_TEST_DATA) + "/golden/tokenizers/" + name +
                     "/tokenizer.json");
  return json::parse(file);
}

std::unique_ptr<const Tokenizer> made(const json& file) {
  auto tokenizer = Tokenizer::parse(file.dump());
  EXPECT_TRUE(tokenizer.ok()) << message_of(tokenizer.status());
  return tokenizer.ok() ? std::move(*tokenizer) : nullptr;
}

// Expects that the llama2 style with the value at `pointer` replaced is refused with this id.
void expect_refused(const std::string& pointer, const json& value, const std::string& id) {
  json file = style("llama2-style");
  file[json::json_pointer(pointer)] = value;
  const auto tokenizer = Tokenizer::parse(file.dump());
  ASSERT_FALSE(tokenizer.ok()) << pointer << " " << value;
  EXPECT_EQ(error_id(tokenizer.status()), id) << message_of(tokenizer.status());
}

json split_by(const std::string& regex) {
  return {{"type", "Split"},
          {"pattern", {{"Regex", regex}}},
          {"behavior", "Isolated"},
          {"invert", false}};
}

// The number of words into which a pattern splits the text: the model encodes every word as one
// unknown token.
size_t num_words(const std::string& regex, const std::string& text) {
  json file = style("gpt2-style");
  file["pre_tokenizer"] = split_by(regex);
  file["added_tokens"] = json::array();
  file["model"] = {{"type", "BPE"},
                   {"vocab", {{"<unk>", 0}}},
                   {"merges", json::array()},
                   {"unk_token", "<unk>"},
                   {"fuse_unk", true}};
  const auto tokenizer = made(file);
  const auto ids = tokenizer->encode(text);
  EXPECT_TRUE(ids.ok()) << message_of(ids.status());
  return ids.ok() ? ids->size() : 0;
}

TEST(Tokenizer, RefusesEachBrokenFieldWithItsOwnId) {
  expect_refused("/model/type", "WordPiece", "TRI-TOK-004");
  expect_refused("/model/type", "Unigram", "TRI-TOK-004");
  expect_refused("/model/vocab", json::array(), "TRI-TOK-003");
  expect_refused("/model/vocab/a", 1439, "TRI-TOK-005");
  expect_refused("/model/vocab/a", 4000000000, "TRI-TOK-005");
  expect_refused("/model/vocab/a", -1, "TRI-TOK-005");
  expect_refused("/model/vocab/a", 1.5, "TRI-TOK-003");
  expect_refused("/model/merges/0", "a b c", "TRI-TOK-006");
  expect_refused("/model/merges/0", "a \xE4\xBB\x8A\xE4\xBB\x8A", "TRI-TOK-006");
  expect_refused("/model/dropout", 0.1, "TRI-TOK-016");
  expect_refused("/added_tokens/3/id", -1, "TRI-TOK-007");
  expect_refused("/added_tokens/3/id", 4294967296, "TRI-TOK-007");
  expect_refused("/added_tokens/3/content", std::string(5000, 'x'), "TRI-TOK-007");
  expect_refused("/added_tokens/3/special", nullptr, "TRI-TOK-003");
  expect_refused("/normalizer", {{"type", "Precompiled"}}, "TRI-TOK-008");
  expect_refused("/pre_tokenizer", {{"type", "UnicodeScripts"}}, "TRI-TOK-009");
  expect_refused("/pre_tokenizer", split_by("(open"), "TRI-TOK-010");
  expect_refused("/pre_tokenizer", split_by("[a&&[^b]]"), "TRI-TOK-010");
  expect_refused("/post_processor/special_tokens/<s>/ids/0", 99999, "TRI-TOK-011");
  expect_refused("/post_processor/single/0", {{"Sequence", {{"id", "A"}}}}, "TRI-TOK-011");
  expect_refused("/decoder", {{"type", "CTC"}}, "TRI-TOK-012");
  expect_refused("/decoder/decoders/3/stop", 1, "TRI-TOK-012");
}

json added(int64_t id, const std::string& content, bool special = true) {
  return {{"id", id},
          {"content", content},
          {"special", special},
          {"single_word", false},
          {"lstrip", false},
          {"rstrip", false},
          {"normalized", false}};
}

// Ids of the reference library, tokenizers 0.23.3, which counts added tokens on from the
// vocabulary whatever id the file states.
TEST(Tokenizer, TakesDoubledEmptyAndDisplacedAddedTokens) {
  const Ids one = {64, 220, 1505, 435, 88, 29, 298};
  const Ids two = {64, 220, 1505, 220, 1506, 298};
  const std::pair<std::vector<json>, Ids> variants[] = {
      {{added(1505, "<x>")}, one},
      {{added(1510, "<x>")}, one},
      {{added(4000000000, "<x>")}, one},
      {{added(7, "<x>")}, one},
      {{added(1505, "<x>"), added(1505, "<x>")}, one},
      {{added(1505, "<x>"), added(1506, "<x>")}, one},
      {{added(1505, ""), added(1506, "<x>")}, one},
      {{added(1505, "<x>"), added(1505, "<y>")}, two}};
  for (const auto& [tokens, ids] : variants) {
    json file = style("qwen2-style");
    for (const json& token : tokens) file["added_tokens"].push_back(token);
    const auto tokenizer = made(file);
    ASSERT_NE(tokenizer, nullptr);
    EXPECT_EQ(*tokenizer->encode("a <x> <y> b"), ids) << json(tokens);
  }
  json file = style("qwen2-style");
  file["added_tokens"].push_back(added(1505, "he"));
  EXPECT_EQ(*made(file)->encode("a he b hello"), (Ids{64, 220, 267, 298, 220, 267, 350, 78}));
}

TEST(Tokenizer, AnAddedTokenTakesTheLastFlagsAndStaysSpecial) {
  json file = style("qwen2-style");
  file["added_tokens"].push_back(added(1505, "<x>"));
  json again = added(1505, "<x>", false);
  again["lstrip"] = true;
  file["added_tokens"].push_back(again);
  const auto tokenizer = made(file);
  EXPECT_EQ(*tokenizer->encode("a <x> b"), (Ids{64, 1505, 298}));
  EXPECT_TRUE(tokenizer->is_special(1505));
}

TEST(Tokenizer, RefusesAnAddedTokenWhoseIdATokenOfTheModelHas) {
  json file = style("qwen2-style");
  const size_t count = file["model"]["vocab"].size();
  file["model"]["vocab"]["zzz"] = count + 1;  // the id that the next added token would get
  file["added_tokens"] = json::array({added(static_cast<int64_t>(count) + 2, "<x>")});
  const auto tokenizer = Tokenizer::parse(file.dump());
  ASSERT_FALSE(tokenizer.ok());
  EXPECT_EQ(error_id(tokenizer.status()), "TRI-TOK-007");
}

TEST(Tokenizer, DropsTheVersionLineOfMerges) {
  for (const std::string name : {"llama2-style", "gpt2-style"}) {
    json file = style(name);
    const Ids ids = *made(file)->encode("hello world");
    json& merges = file["model"]["merges"];
    for (json& merge : merges) {
      if (!merge.is_string()) {
        merge = merge[0].get<std::string>() + " " + merge[1].get<std::string>();
      }
    }
    merges.insert(merges.begin() + 5, "#version");
    merges.insert(merges.begin(), "#version: 0.2 - trained by a tool");
    EXPECT_EQ(*made(file)->encode("hello world"), ids);
    merges[0] = json::array({"#version:", "0.2"});
    EXPECT_EQ(error_id(Tokenizer::parse(file.dump()).status()), "TRI-TOK-006");
  }
}

TEST(Tokenizer, AnUnknownTokenMayBeMissingWhereNoTextNeedsIt) {
  json file = style("llama2-style");
  const Ids ids = *made(file)->encode("hello w\xC3\xB6rld");
  file["model"]["unk_token"] = "nowhere";
  EXPECT_EQ(*made(file)->encode("hello w\xC3\xB6rld"), ids) << "byte fallback has a token for all";
  file["model"]["byte_fallback"] = false;
  const auto tokenizer = made(file);
  EXPECT_EQ(tokenizer->encode("hello")->back(), ids[3]);
  const auto refused = tokenizer->encode("hello w\xE4\xBB\x8Arld");
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(error_id(refused.status()), "TRI-TOK-020");
  EXPECT_NE(message_of(refused.status()).find("nowhere"), std::string::npos);
  EXPECT_TRUE(tokenizer->encode("hello").ok()) << "a refused text leaves nothing behind";
  json byte_level = style("gpt2-style");
  byte_level["model"]["unk_token"] = "nowhere";
  EXPECT_TRUE(made(byte_level)->encode("\xE4\xBB\x8A \x01").ok());
}

TEST(Tokenizer, NamesTheSupportedModelTypes) {
  json file = style("llama2-style");
  file["model"]["type"] = "Unigram";
  EXPECT_NE(message_of(Tokenizer::parse(file.dump()).status()).find("supported is BPE"),
            std::string::npos);
}

TEST(Tokenizer, RefusesAMissingFileAndTextThatIsNotJson) {
  EXPECT_EQ(error_id(Tokenizer::load("/nowhere/tokenizer.json").status()), "TRI-TOK-001");
  EXPECT_EQ(error_id(Tokenizer::load(TRIREME_TEST_DATA).status()), "TRI-TOK-001");
  for (const std::string text : {"",
                                 "{",
                                 "{} x",
                                 "[1,]",
                                 "{\"a\":01}",
                                 "\"\\ud800\"",
                                 "\"\xFF\"",
                                 "\xEF\xBB\xBF{}",
                                 "nul",
                                 "1e999"}) {
    EXPECT_EQ(error_id(Tokenizer::parse(text).status()), "TRI-TOK-002") << text;
  }
  EXPECT_EQ(error_id(Tokenizer::parse(std::string(100'000, '[')).status()), "TRI-TOK-002");
  EXPECT_EQ(error_id(Tokenizer::parse("{}").status()), "TRI-TOK-003");
}

TEST(Tokenizer, BoundsTheNestingOfEveryPipeline) {
  const std::tuple<const char*, const char*, const char*> pipelines[] = {
      {"/normalizer", "normalizers", "TRI-TOK-008"},
      {"/pre_tokenizer", "pretokenizers", "TRI-TOK-009"},
      {"/post_processor", "processors", "TRI-TOK-011"},
      {"/decoder", "decoders", "TRI-TOK-012"}};
  for (const auto& [field, list, id] : pipelines) {
    json nested = {{"type", "Sequence"}, {list, json::array()}};
    for (int depth = 0; depth < 20; ++depth) {
      nested = {{"type", "Sequence"}, {list, json::array({nested})}};
    }
    expect_refused(field, nested, id);
  }
}

TEST(Tokenizer, EncodesAWordOfAMillionCharactersQuickly) {
  // Quadratic merging would need 10^12 steps.
  const auto tokenizer = made(style("llama2-style"));
  const std::string text(1'000'000, ' ');
  const auto ids = tokenizer->encode(text);
  ASSERT_TRUE(ids.ok());
  EXPECT_EQ(tokenizer->decode(*ids, true), text);
}

TEST(Tokenizer, BothMergeAlgorithmsGiveTheSameIds) {
  // Both algorithms are compared with one that searches the whole word for each merge.
  const json file = style("gpt2-style");
  const auto tokenizer = made(file);
  std::map<std::pair<std::string, std::string>, int> ranks;
  for (const std::string merge : file["model"]["merges"]) {
    const size_t space = merge.find(' ');
    ranks.try_emplace({merge.substr(0, space), merge.substr(space + 1)}, ranks.size());
  }
  uint32_t state = 1;
  for (const int length : {1, 2, 5, 23, 24, 25, 26, 60, 300}) {
    std::vector<std::string> symbols;
    std::string word;
    for (int i = 0; i < length; ++i) {
      state = state * 1664525 + 1013904223;
      symbols.emplace_back(1, "etaoinshr"[(state >> 16) % 9]);
      word += symbols.back();
    }
    while (true) {
      int best = INT32_MAX;
      size_t at = 0;
      for (size_t i = 0; i + 1 < symbols.size(); ++i) {
        const auto found = ranks.find({symbols[i], symbols[i + 1]});
        if (found != ranks.end() && found->second < best) best = found->second, at = i;
      }
      if (best == INT32_MAX) break;
      symbols[at] += symbols[at + 1];
      symbols.erase(symbols.begin() + at + 1);
    }
    std::vector<std::string> pieces;
    const Ids ids = *tokenizer->encode(word);
    for (const TokenId id : ids) pieces.emplace_back(tokenizer->piece(id));
    EXPECT_EQ(pieces, symbols) << word;
  }
}

TEST(Tokenizer, StopsAPatternThatNeedsTooManySteps) {
  json file = style("gpt2-style");
  file["pre_tokenizer"] = split_by("(a|aa)+$|b");
  const auto ids = made(file)->encode(std::string(200, 'a') + "c");
  ASSERT_FALSE(ids.ok());
  EXPECT_EQ(error_id(ids.status()), "TRI-TOK-014");
}

TEST(Tokenizer, RefusesATextOverTheBound) {
  const auto tokenizer = made(style("gpt2-style"));
  EXPECT_EQ(error_id(tokenizer->encode(std::string(65 << 20, 'a')).status()), "TRI-TOK-015");
}

TEST(Tokenizer, ReadsPropertiesAsTheReferenceEngineDoes) {
  EXPECT_EQ(num_words("\\s",
                      "a\xE1\xA0\x8E"
                      "b"),
            1u);  // U+180E is no space
  EXPECT_EQ(num_words("\\p{Han}",
                      "a\xE3\x80\x81"
                      "b"),
            1u);  // U+3001 is only used with Han
  EXPECT_EQ(num_words("\\p{Han}",
                      "a\xE4\xBB\x8A"
                      "b"),
            3u);
  EXPECT_EQ(num_words("\\d{1,3}+", "1234567"), 1u);  // Ruby repeats the interval
  EXPECT_EQ(num_words("\\d{1,3}", "1234567"), 3u);
}

TEST(Tokenizer, ReplacesInvalidUtf8ByReplacementCharacters) {
  const auto tokenizer = made(style("qwen2-style"));
  EXPECT_EQ(*tokenizer->encode("a\xFF\xE4\xBB"
                               "b"),
            *tokenizer->encode("a\xEF\xBF\xBD\xEF\xBF\xBD"
                               "b"));
}

TEST(Tokenizer, ParsesSpecialTokensInTextOnlyIfRequested) {
  const auto tokenizer = made(style("llama3-style"));
  const EncodeOptions as_text{.add_special = false, .parse_special = false};
  const Ids ids = *tokenizer->encode("a<|eot_id|>b", as_text);
  for (const TokenId id : ids) {
    EXPECT_FALSE(tokenizer->is_special(id));
  }
  EXPECT_EQ(tokenizer->decode(*tokenizer->encode("a<|eot_id|>b", as_text), true), "a<|eot_id|>b");
}

TEST(Tokenizer, AcceptsIdsThatAreNotTokens) {
  const auto tokenizer = made(style("llama3-style"));
  for (const TokenId id : {-1, INT32_MIN, INT32_MAX, tokenizer->vocabulary_size()}) {
    EXPECT_EQ(tokenizer->piece(id), "");
    EXPECT_EQ(tokenizer->bytes_of(id), "");
    EXPECT_FALSE(tokenizer->is_special(id));
    EXPECT_EQ(tokenizer->decode(Ids{id}, false), "");
  }
  EXPECT_EQ(tokenizer->id_of("<|eot_id|>"), 1504);
  EXPECT_FALSE(tokenizer->id_of("nothing like it").has_value());
}

TEST(Tokenizer, ServesManyThreadsAtOnce) {
  const auto tokenizer = made(style("qwen2-style"));
  const std::string text = "The ship's caf\xC3\xA9, 1987: <|im_start|> \n\n harbour";
  const Ids expected = *tokenizer->encode(text);
  std::vector<std::thread> threads;
  std::atomic<int> different{0};
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      for (int round = 0; round < 200; ++round) different += *tokenizer->encode(text) != expected;
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(different, 0);
}

TEST(Detokenizer, IsSmallAndMovable) {
  static_assert(sizeof(Detokenizer) <= 64);
  static_assert(std::is_nothrow_move_constructible_v<Detokenizer>);
}

TEST(Detokenizer, ReplacesEachMaximalInvalidPartOnce) {
  const auto tokenizer = made(style("llama2-style"));
  const auto byte = [&](const char* piece) { return *tokenizer->id_of(piece); };
  Detokenizer detokenizer(*tokenizer);
  EXPECT_EQ(detokenizer.push(byte("<0xE4>")), "");
  EXPECT_EQ(detokenizer.push(byte("<0xBB>")), "");
  EXPECT_EQ(detokenizer.push(byte("<0xFF>")), "\xEF\xBF\xBD\xEF\xBF\xBD");
  EXPECT_EQ(detokenizer.push(byte("<0xC3>")), "");
  EXPECT_EQ(detokenizer.push(byte("<0xA9>")), "\xC3\xA9");
  EXPECT_EQ(detokenizer.push(byte("<0xF0>")), "");
  EXPECT_EQ(detokenizer.finish(), "\xEF\xBF\xBD");
}

}  // namespace tokenizer_test
}  // namespace trireme
