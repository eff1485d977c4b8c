#include "coordinator/engine/answer_text.h"

#include <gtest/gtest.h>

#include <random>

#include "tests/coordinator/chat_fixture.h"

namespace trireme {
namespace answer_text_test {

class AnswerTextTest : public testing::Test {
 protected:
  AnswerText make() { return {*tokenizer_, params_, format_, 5}; }

  // Adds ids until the answer is over, and finishes it if it is not. Returns the joined parts.
  std::vector<AnswerPart> play(AnswerText& answer, const std::vector<TokenId>& ids) {
    std::vector<AnswerPart> parts;
    const auto collect = [&] {
      EXPECT_EQ(answer.take_text(), "");
      for (AnswerPart& part : answer.take_parts()) append_part(parts, std::move(part));
    };
    for (const TokenId id : ids) {
      answer.add(id, true);
      ++num_added_;
      collect();
      if (answer.is_over()) return parts;
    }
    answer.finish(true);
    collect();
    return parts;
  }
  std::vector<AnswerPart> parts_of(const std::string& text) {
    AnswerText answer = make();
    return play(answer, ids_of(*tokenizer_, text));
  }

  const std::unique_ptr<const Tokenizer> tokenizer_ = demo_tokenizer();
  GenerationParams params_;
  std::shared_ptr<AnswerFormat> format_ = tag_format();
  int num_added_ = 0;
};

TEST_F(AnswerTextTest, AnAnswerIsCutIntoReasoningContentAndCalls) {
  AnswerText answer = make();
  const std::vector<TokenId> ids = ids_of(*tokenizer_, called_answer());
  const std::vector<AnswerPart> parts = play(answer, ids);
  ASSERT_EQ(parts.size(), 3u);
  EXPECT_EQ(parts[0], (AnswerPart{PartKind::kReasoning, 0, "", "", kThought}));
  EXPECT_EQ(parts[1], (AnswerPart{PartKind::kContent, 0, "", "", kContent}));
  EXPECT_EQ(parts[2].kind, PartKind::kToolCall);
  EXPECT_EQ(parts[2].name, "weigh");
  EXPECT_FALSE(parts[2].call_id.empty());
  EXPECT_EQ(parts[2].text, kArguments);
  EXPECT_EQ(answer.num_calls(), 1);
  EXPECT_GT(answer.reasoning_tokens(), 0);
  EXPECT_LT(answer.reasoning_tokens(), static_cast<int32_t>(ids.size()));
  EXPECT_FALSE(answer.is_over());
}

TEST_F(AnswerTextTest, WithoutAFormatTheAnswerIsText) {
  format_.reset();
  AnswerText answer = make();
  for (const TokenId id : ids_of(*tokenizer_, called_answer())) answer.add(id, true);
  answer.finish(true);
  EXPECT_EQ(answer.take_text(), called_answer());
  EXPECT_TRUE(answer.take_parts().empty());
  EXPECT_EQ(answer.reasoning_tokens(), 0);
}

TEST_F(AnswerTextTest, StopStringsAreSoughtInContentOnly) {
  params_.stop = {"eigh"};  // in the reasoning, the content and the name of the call
  AnswerText answer = make();
  const std::vector<AnswerPart> parts = play(answer, ids_of(*tokenizer_, called_answer()));
  EXPECT_EQ(joined(parts, PartKind::kReasoning), kThought);
  EXPECT_EQ(joined(parts, PartKind::kContent), "Aye. W");
  EXPECT_EQ(joined(parts, PartKind::kToolCall), "");
  EXPECT_EQ(answer.stop_string(), "eigh");
  EXPECT_TRUE(answer.is_over());
  params_.include_stop_in_output = true;
  EXPECT_EQ(joined(parts_of(called_answer()), PartKind::kContent), "Aye. Weigh");
}

TEST_F(AnswerTextTest, ContentHeldForAStopStringIsNotLost) {
  params_.stop = {"it. And more"};
  const std::vector<AnswerPart> with_call = parts_of(called_answer());
  ASSERT_EQ(with_call.size(), 3u);
  EXPECT_EQ(with_call[1].text, kContent);  // before the call, not after it
  EXPECT_EQ(joined(parts_of(reasoned_answer()), PartKind::kContent), kContent);
}

TEST_F(AnswerTextTest, OneCallEndsTheAnswerAtTheIdThatCompletesIt) {
  format_->one_call = true;
  AnswerText answer = make();
  const size_t ids = ids_of(*tokenizer_, called_answer()).size();
  const std::string more = called_answer() + "\n<call>{\"name\": \"weigh\", \"arguments\": {}}";
  const std::vector<AnswerPart> parts = play(answer, ids_of(*tokenizer_, more));
  EXPECT_TRUE(answer.is_over());
  EXPECT_LE(num_added_, static_cast<int>(ids) + 1);
  EXPECT_EQ(answer.num_calls(), 1);
  EXPECT_EQ(joined(parts, PartKind::kToolCall), kArguments);
}

TEST_F(AnswerTextTest, ASpecialTokenIsLeftOutButEndsTheAnswerWhereItIsAStopString) {
  const TokenId special = tokenizer_->id_of("<|reserved_1|>").value();
  std::vector<TokenId> ids = ids_of(*tokenizer_, reasoned_answer());
  ids.push_back(special);
  for (const TokenId id : ids_of(*tokenizer_, " More.")) ids.push_back(id);
  AnswerText plain = make();
  EXPECT_EQ(joined(play(plain, ids), PartKind::kContent), std::string(kContent) + " More.");
  params_.stop = {"<|reserved_1|>"};
  AnswerText stopped = make();
  EXPECT_EQ(joined(play(stopped, ids), PartKind::kContent), kContent);
  EXPECT_EQ(stopped.stop_string(), "<|reserved_1|>");
  params_.stop.clear();
  params_.skip_special_tokens = false;
  AnswerText shown = make();
  EXPECT_EQ(joined(play(shown, ids), PartKind::kContent),
            std::string(kContent) + "<|reserved_1|> More.");
}

// The parser is told of every id as it is drawn, so that two runs over the same ids agree however
// they are interrupted.
TEST_F(AnswerTextTest, ThePartsAreAFunctionOfTheIds) {
  std::mt19937_64 random(3);
  for (int round = 0; round < 200; ++round) {
    std::vector<TokenId> ids = ids_of(*tokenizer_, called_answer());
    for (uint64_t i = random() % 6; i > 0; --i) {
      ids[random() % ids.size()] =
          static_cast<TokenId>(random() % static_cast<uint64_t>(tokenizer_->vocabulary_size()));
    }
    AnswerText first = make();
    AnswerText second = make();
    EXPECT_EQ(play(first, ids), play(second, ids));
    EXPECT_EQ(first.reasoning_tokens(), second.reasoning_tokens());
  }
}

}  // namespace answer_text_test
}  // namespace trireme
