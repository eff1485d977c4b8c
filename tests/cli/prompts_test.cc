#include "clients/cli/prompts.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "base/text.h"

namespace trireme {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class Prompts : public testing::Test {
 protected:
  StatusOr<std::vector<Prompt>> read(const std::string& text) {
    path_ = testing::TempDir() + "prompts.jsonl";
    std::ofstream(path_) << text;
    return read_prompts(path_, defaults_);
  }
  std::string refusal(const std::string& line) {
    const Status status = read(line).status();
    return message_of(status);
  }

  std::string path_;
  door::Submit defaults_;
};

TEST_F(Prompts, ALineHasTextOrTokenIdsAndSamplingFields) {
  defaults_.sampling.max_tokens = 5;
  const auto prompts = read(
      "{\"prompt\": \"A vector\", \"max_tokens\": 9}\n"
      "\n  \r\n"
      "{\"token_ids\": [1, 2, 3], \"id\": \"mine\"}\n"
      "{\"prompt\": \"\", \"id\": 7}");
  ASSERT_TRUE(prompts.ok()) << message_of(prompts.status());
  ASSERT_EQ(prompts->size(), 3u);
  EXPECT_EQ(std::get<std::string>((*prompts)[0].submit.prompt), "A vector");
  EXPECT_EQ((*prompts)[0].submit.sampling.max_tokens, 9);
  EXPECT_EQ((*prompts)[0].id, "1");
  EXPECT_THAT(std::get<std::vector<TokenId>>((*prompts)[1].submit.prompt), ElementsAre(1, 2, 3));
  EXPECT_EQ((*prompts)[1].submit.sampling.max_tokens, 5);
  EXPECT_EQ((*prompts)[1].id, "mine");
  EXPECT_EQ((*prompts)[1].line_number, 4);
  EXPECT_EQ((*prompts)[2].id, "7");
}

TEST_F(Prompts, OutputLenIsAnotherNameOfMaxTokens) {
  const auto prompts = read("{\"prompt\": \"a\", \"output_len\": 3}");
  ASSERT_TRUE(prompts.ok());
  EXPECT_EQ((*prompts)[0].submit.sampling.max_tokens, 3);
}

TEST_F(Prompts, AnErrorNamesItsIdTheFileAndTheLine) {
  const std::string words = refusal("{\"prompt\": \"a\"}\n\nnot json\n");
  EXPECT_THAT(words, testing::StartsWith(format_text("TRI-RUN-021: {} line 3: ", path_)));
}

TEST_F(Prompts, EveryBadLineHasAnIdOfItsOwn) {
  for (const auto& [line, id] : {std::pair("[1]", "TRI-RUN-021"),
                                 {"", "TRI-RUN-021"},
                                 {"{}", "TRI-RUN-022"},
                                 {R"({"prompt": "a", "token_ids": [1]})", "TRI-RUN-022"},
                                 {R"({"prompt": 5})", "TRI-RUN-022"},
                                 {R"({"token_ids": "1,2"})", "TRI-RUN-022"},
                                 {R"({"token_ids": [1, -2]})", "TRI-RUN-022"},
                                 {R"({"token_ids": [1.5]})", "TRI-RUN-022"},
                                 {R"({"messages": []})", "TRI-RUN-023"},
                                 {R"({"prompt": "a", "seed": "x"})", "TRI-RUN-020"},
                                 {R"({"prompt": "a", "temperature": -1})", "TRI-REQ-001"}}) {
    EXPECT_THAT(refusal(line), testing::StartsWith(id)) << line;
  }
  EXPECT_EQ(error_id(read_prompts("/nowhere/p", {}).status()), "TRI-RUN-001");
}

TEST_F(Prompts, AnUnknownFieldIsRejectedWithTheNearestName) {
  const std::string words = refusal(R"({"prompt": "a", "max_token": 5})");
  EXPECT_THAT(words, HasSubstr("TRI-RUN-024"));
  EXPECT_THAT(words, HasSubstr("did you mean \"max_tokens\"?"));
}

class CheckedPrompts : public testing::Test {
 protected:
  CheckedPrompts() {
    source_.name = "demo";
    source_.config.vocabulary_size = 100;
    source_.config.max_positions = 8;
  }
  std::string refused(decltype(door::Submit::prompt) prompt, int64_t max_model_len = 0) {
    Prompt one;
    one.line_number = 2;
    one.submit.prompt = std::move(prompt);
    const Status status = check_prompts({one}, "file", source_, nullptr, max_model_len);
    return status.ok() ? "" : error_id(status);
  }

  ModelSource source_;
};

TEST_F(CheckedPrompts, IdsOutsideTheVocabularyAreRejected) {
  EXPECT_EQ(refused(std::vector<TokenId>{0, 99}), "");
  EXPECT_EQ(refused(std::vector<TokenId>{0, 100}), "TRI-RUN-026");
}

TEST_F(CheckedPrompts, APromptWithoutRoomForAnAnswerIsRejected) {
  EXPECT_EQ(refused(std::vector<TokenId>(7, 1)), "");
  EXPECT_EQ(refused(std::vector<TokenId>(8, 1)), "TRI-RUN-027");
  EXPECT_EQ(refused(std::vector<TokenId>(4, 1), 4), "TRI-RUN-027");
  EXPECT_EQ(refused(std::vector<TokenId>(3, 1), 4), "");
}

TEST_F(CheckedPrompts, APromptWithoutTokensIsRejected) {
  EXPECT_EQ(refused(std::vector<TokenId>()), "TRI-RUN-028");
}

TEST_F(CheckedPrompts, TextForAModelWithoutTokenizerIsRejected) {
  EXPECT_EQ(refused(std::string("words")), "TRI-RUN-025");
}

}  // namespace
}  // namespace trireme
