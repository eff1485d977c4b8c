// Every tokenizer of the reference data: ids, text and streamed text equal those of the reference.
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "model/tokenizer/detokenizer.h"
#include "model/tokenizer/tokenizer.h"

namespace trireme {
namespace golden_test {

using nlohmann::json;
using Ids = std::vector<TokenId>;

std::vector<json> read_lines(const std::string& path) {
  std::ifstream file(path);
  std::vector<json> lines;
  for (std::string line; std::getline(file, line);) lines.push_back(json::parse(line));
  return lines;
}

class Golden : public testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    folder_ = std::string(TRIREME_TEST_DATA) + "/golden/tokenizers/" + GetParam();
    auto loaded = Tokenizer::load(folder_ + "/tokenizer.json");
    ASSERT_TRUE(loaded.ok()) << message_of(loaded.status());
    tokenizer_ = std::move(*loaded);
  }
  std::string folder_;
  std::unique_ptr<const Tokenizer> tokenizer_;
};

TEST_P(Golden, EncodesEveryTextToTheSameIds) {
  const auto cases = read_lines(folder_ + "/cases.jsonl");
  ASSERT_EQ(cases.size(), 200u);
  for (const json& item : cases) {
    const std::string text = item["text"];
    const auto ids = tokenizer_->encode(text, {.add_special = false});
    ASSERT_TRUE(ids.ok()) << message_of(ids.status());
    EXPECT_EQ(*ids, item["ids"].get<Ids>()) << item["category"] << " " << item["text"];
    EXPECT_EQ(*tokenizer_->encode(text), item["ids_special"].get<Ids>()) << item["text"];
  }
}

TEST_P(Golden, DecodesEveryAnswerToTheSameText) {
  for (const json& item : read_lines(folder_ + "/cases.jsonl")) {
    const Ids ids = item["ids_special"];
    EXPECT_EQ(tokenizer_->decode(ids, false), item["decoded"].get<std::string>());
    EXPECT_EQ(tokenizer_->decode(ids, true), item["decoded_skip_special"].get<std::string>());
  }
}

TEST_P(Golden, ReleasesEachPieceAtTheSameId) {
  const auto streams = read_lines(folder_ + "/stream.jsonl");
  ASSERT_GE(streams.size(), 20u);
  for (const json& item : streams) {
    Detokenizer detokenizer(*tokenizer_, true);
    std::vector<std::string> pieces;
    for (const TokenId id : item["ids"].get<Ids>()) pieces.push_back(detokenizer.push(id));
    EXPECT_EQ(pieces, item["pieces"].get<std::vector<std::string>>()) << item.dump();
    EXPECT_EQ(detokenizer.finish(), item["end"].get<std::string>()) << item.dump();
  }
}

INSTANTIATE_TEST_SUITE_P(
    Styles,
    Golden,
    testing::Values("gpt2-style", "llama2-style", "llama3-style", "metaspace-style", "qwen2-style"),
    [](const auto& info) { return info.param.substr(0, info.param.find('-')); });

TEST(DemoModel, ReadsBackWhatItEncodes) {
  auto loaded = Tokenizer::load(std::string(TRIREME_SOURCE_DIR) + "/models/demo/tokenizer.json");
  ASSERT_TRUE(loaded.ok()) << message_of(loaded.status());
  const Tokenizer& tokenizer = **loaded;
  EXPECT_EQ(tokenizer.vocabulary_size(), 4096);
  for (const std::string text : {"Once upon a time, in 1987, there was a ship.",
                                 "",
                                 " ",
                                 "\n\n \t",
                                 "\xF0\x9F\x9A\xA2 na\xC3\xAFve 12345"}) {
    const auto ids = tokenizer.encode(text);
    ASSERT_TRUE(ids.ok());
    EXPECT_EQ(tokenizer.decode(*ids, false), text);
  }
}

}  // namespace golden_test
}  // namespace trireme
