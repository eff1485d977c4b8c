#include "clients/cli/prompts.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "base/text.h"

namespace trireme {
namespace prompts_test {

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
                                 {R"({"messages": {}})", "TRI-RUN-022"},
                                 {R"({"messages": [], "prompt": "x"})", "TRI-RUN-022"},
                                 {R"({"prompt": "x", "tools": []})", "TRI-RUN-022"},
                                 {R"({"messages": [], "tools": {}})", "TRI-RUN-022"},
                                 {R"({"messages": [], "tool_choice": "some"})", "TRI-RUN-022"},
                                 {R"({"messages": [], "tool_choice": {}})", "TRI-RUN-022"},
                                 {R"({"messages": [], "mesages": []})", "TRI-RUN-024"},
                                 {R"({"prompt": "a", "seed": "x"})", "TRI-RUN-020"},
                                 {R"({"prompt": "a", "temperature": -1})", "TRI-REQ-001"}}) {
    EXPECT_THAT(refusal(line), testing::StartsWith(id)) << line;
  }
  EXPECT_EQ(error_id(read_prompts("/nowhere/p", {}).status()), "TRI-RUN-001");
}

TEST_F(Prompts, WhatJsonDoesNotHaveIsNamedWithItsByte) {
  const std::pair<std::string, const char*> cases[] = {
      {R"({"prompt": "a", "temperature": NaN})", "byte 31 of 35: NaN is not a JSON number"},
      {R"({"prompt": "a", "temperature": -Infinity})", "Infinity is not a JSON number"},
      {R"({"prompt": "a", "top_p": nan})", "nan is not a JSON number"},
      {R"({"prompt": "\ud800"})", "half of a surrogate pair"},
      {R"({"prompt": "\ude00 \ud83d"})", "half of a surrogate pair"},
      {R"({"prompt": "a"} {"prompt": "b"})", "text after the end"},
      {"{\"prompt\": \"a\tb\"}", "a control character in a string"},
  };
  for (const auto& [line, words] : cases) {
    const std::string message = refusal("{\"prompt\": \"fine\"}\n" + line);
    EXPECT_THAT(message,
                testing::StartsWith(
                    format_text("TRI-RUN-021: {} line 2: the line is not JSON at byte ", path_)));
    EXPECT_THAT(message, HasSubstr(words));
    EXPECT_THAT(message, testing::Not(HasSubstr("fetch")));
  }
}

TEST_F(Prompts, ANumberBeyondADoubleIsRefusedByTheRangeOfItsField) {
  for (const auto& [field, words] :
       {std::pair(R"("temperature": 1e400)", "temperature is inf, allowed are 0 (greedy) to 100"),
        {R"("logit_bias": {"5": -1e400})", "logit_bias is -inf, allowed are -10000 to 10000"},
        {R"("max_tokens": 1e400)", "max_tokens is inf, allowed are 1 to 16777216"},
        {R"("top_p": 1e-400)", "top_p is 0, allowed are above 0 to 1"}}) {
    const std::string message = refusal(format_text("{{\"prompt\": \"a\", {}}}", field));
    EXPECT_THAT(message, testing::StartsWith("TRI-REQ-001: ")) << field;
    EXPECT_THAT(message, HasSubstr(words)) << field;
  }
  const auto prompts = read(R"({"prompt": "a", "id": 1e400, "temperature": 1e-400})");
  ASSERT_TRUE(prompts.ok()) << message_of(prompts.status());
  EXPECT_EQ((*prompts)[0].submit.sampling.temperature, 0.f);
}

TEST_F(Prompts, ALineKeepsEveryKindOfValue) {
  const auto prompts = read(
      R"({"id": {"a": [true, null, -7, 18446744073709551615, 1.5, "\u00e9"], "a": 2, "b": {}},)"
      R"( "prompt": "x\ny\u0000", "seed": 18446744073709551615, "stop": []})");
  ASSERT_TRUE(prompts.ok()) << message_of(prompts.status());
  EXPECT_EQ((*prompts)[0].id, R"({"a":2,"b":{}})");
  EXPECT_EQ(std::get<std::string>((*prompts)[0].submit.prompt), std::string("x\ny\0", 4));
  EXPECT_EQ((*prompts)[0].submit.sampling.seed, 18446744073709551615u);
  EXPECT_THAT(*read(R"({"id": [true, null, -7, 1.5, "\u00e9"], "prompt": ""})"),
              ElementsAre(testing::Field(&Prompt::id, "[true,null,-7,1.5,\"\u00e9\"]")));
}

TEST_F(Prompts, BytesThatAreNotUtf8AreNamedWithLineAndOffset) {
  for (const auto& [line, byte] : {std::pair("{\"prompt\": \"caf\xE9\"}", 15),
                                   {"{\"pr\xE9mpt\": 1}", 4},
                                   {"{\"prompt\": \"a\", \"stop\": \"\xFF\"}", 25},
                                   {"{\"prompt\": \"a\"} \xFF", 16}}) {
    const std::string message = refusal("{\"prompt\": \"fine\"}\n" + std::string(line));
    EXPECT_EQ(message,
              format_text("TRI-RUN-040: {} line 2: the line is not UTF-8 at byte {}; convert it "
                          "(iconv -f latin1 -t utf8)",
                          path_,
                          byte));
  }
  EXPECT_THAT(refusal(std::string("\xFF\xFE{\0", 4)), HasSubstr("iconv -f utf16"));
}

TEST_F(Prompts, AByteOrderMarkAtTheBeginningIsSkipped) {
  const auto prompts = read("\xEF\xBB\xBF{\"prompt\": \"a\"}\n");
  ASSERT_TRUE(prompts.ok()) << message_of(prompts.status());
  EXPECT_EQ(std::get<std::string>((*prompts)[0].submit.prompt), "a");
}

TEST_F(Prompts, TokenIdsMayEndInPointZeroAndTheWrongOneIsNamed) {
  const auto prompts = read(R"({"token_ids": [8.0, 1e2]})");
  ASSERT_TRUE(prompts.ok()) << message_of(prompts.status());
  EXPECT_THAT(std::get<std::vector<TokenId>>((*prompts)[0].submit.prompt), ElementsAre(8, 100));
  for (const auto& [line, words] :
       {std::pair(R"({"token_ids": [1, -1]})", "holds -1, allowed are ids from 0 to 2147483647"),
        {R"({"token_ids": [2147483648]})", "holds 2147483648, allowed are ids from 0"},
        {R"({"token_ids": ["8"]})", "holds \"8\", allowed are token ids"},
        {R"({"token_ids": [[8]]})", "holds [8], allowed are token ids"},
        {R"({"token_ids": [8.5]})", "holds 8.5, allowed are token ids"}}) {
    EXPECT_THAT(refusal(line), testing::StartsWith("TRI-RUN-022: ")) << line;
    EXPECT_THAT(refusal(line), HasSubstr(words)) << line;
  }
}

TEST(AtLine, NamesFileAndLineAfterTheId) {
  const Status status = invalid("TRI-X-001", "too long");
  EXPECT_EQ(message_of(at_line("p.jsonl", 3, status)), "TRI-X-001: p.jsonl line 3: too long");
  EXPECT_EQ(message_of(at_line("-", 3, status)), "TRI-X-001: standard input line 3: too long");
  EXPECT_EQ(message_of(at_line("p\xFF", 3, status)), "TRI-X-001: p\\xff line 3: too long");
  EXPECT_EQ(at_line("p.jsonl", 0, status), status);
  EXPECT_TRUE(at_line("p.jsonl", 3, ok_status()).ok());
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
  std::string refused(decltype(door::Submit::prompt) prompt,
                      int64_t max_model_len = 0,
                      door::Kind kind = door::Kind::kGenerate) {
    Prompt one;
    one.line_number = 2;
    one.submit.kind = kind;
    one.submit.prompt = std::move(prompt);
    const Status status = check_prompts({one}, "file", {.source = source_}, max_model_len);
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

TEST_F(CheckedPrompts, AScoreAndAProbeMayFillTheModel) {
  for (const auto kind : {door::Kind::kScore, door::Kind::kProbe}) {
    EXPECT_EQ(refused(std::vector<TokenId>(8, 1), 0, kind), "");
    EXPECT_EQ(refused(std::vector<TokenId>(9, 1), 0, kind), "TRI-RUN-027");
  }
}

TEST_F(CheckedPrompts, APromptWithoutTokensIsRejected) {
  EXPECT_EQ(refused(std::vector<TokenId>()), "TRI-RUN-028");
}

TEST_F(CheckedPrompts, TextForAModelWithoutTokenizerIsRejected) {
  EXPECT_EQ(refused(std::string("words")), "TRI-RUN-025");
}

}  // namespace prompts_test
}  // namespace trireme
