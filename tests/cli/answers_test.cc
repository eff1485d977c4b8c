#include "clients/cli/answers.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace trireme {
namespace answers_test {

using testing::ElementsAre;

door::Piece piece(uint64_t tag, int32_t choice, std::vector<TokenId> ids, std::string text) {
  door::Piece made;
  made.tag = tag;
  made.choice = choice;
  made.token_ids = std::move(ids);
  made.text = std::move(text);
  return made;
}

door::Finished finished(uint64_t tag, int32_t choice, bool last) {
  door::Finished made;
  made.tag = tag;
  made.choice = choice;
  made.prompt_tokens = 4;
  made.last_choice = last;
  return made;
}

door::Accepted accepted(uint64_t tag) {
  door::Accepted made;
  made.tag = tag;
  made.seed = 77;
  made.prompt_tokens = 4;
  return made;
}

TEST(AnswerBook, AssemblesTheEventsOfAStreamIntoAnAnswer) {
  AnswerBook book;
  book.open(5, 2, "mine", 1, 1'000);
  book.book(accepted(5), 1'100);
  EXPECT_EQ(book.book(piece(5, 0, {10, 11}, "A ve"), 3'500).released, "A ve");
  book.book(piece(5, 0, {12}, ""), 4'000);
  door::Finished end = finished(5, 0, true);
  end.text = "ctor";
  end.stop_token_id = 2;
  end.cached_tokens = 3;
  const AnswerBook::News news = book.book(end, 6'000);
  EXPECT_EQ(news.released, "ctor");
  ASSERT_TRUE(news.answer->over);

  const Answer answer = book.take(5);
  EXPECT_EQ(book.num_open(), 0u);
  EXPECT_FALSE(answer.failed());
  EXPECT_EQ(answer.output_tokens(), 3);
  EXPECT_EQ(answer.first_token_us(), 3'500);
  EXPECT_THAT(answer.choices[0].frame_tokens, ElementsAre(2, 1));
  EXPECT_EQ(answer_json(answer, 0).dump(),
            R"({"id":"mine","index":0,"prompt_tokens":4,"token_ids":[10,11,12],)"
            R"("text":"A vector","finish_reason":"stop","stop_reason":2,"cached_tokens":3,)"
            R"("ttft_ms":2.5,"duration_ms":5.0,"seed":77})");
}

TEST(AnswerBook, ChoicesAreSeparateAndTheLastOneEndsTheAnswer) {
  AnswerBook book;
  book.open(1, 0, "1", 2, 0);
  book.book(piece(1, 1, {21}, "b"), 10);
  book.book(piece(1, 0, {20}, "a"), 20);
  EXPECT_FALSE(book.book(finished(1, 1, false), 30).answer->over);
  EXPECT_TRUE(book.book(finished(1, 0, true), 40).answer->over);
  const Answer answer = book.take(1);
  EXPECT_EQ(answer.choices[0].text, "a");
  EXPECT_EQ(answer.choices[1].text, "b");
  EXPECT_EQ(answer.first_token_us(), 10);
  EXPECT_EQ(answer_json(answer, 1)["index"], 1);
}

TEST(AnswerBook, ARefusalIsAnAnswerWithAnError) {
  AnswerBook book;
  book.open(1, 0, "1", 1, 0);
  door::Error error;
  error.tag = 1;
  error.error_id = "TRI-REQ-001";
  error.message = "the prompt is too long";
  EXPECT_TRUE(book.book(error, 10).answer->over);
  const Answer answer = book.take(1);
  EXPECT_TRUE(answer.failed());
  const auto json = answer_json(answer, 0);
  EXPECT_EQ(json["finish_reason"], "error");
  EXPECT_EQ(json["error"]["id"], "TRI-REQ-001");
  EXPECT_EQ(json["ttft_ms"], nullptr);
}

TEST(AnswerBook, AChoiceThatFailedMakesTheAnswerFail) {
  AnswerBook book;
  book.open(1, 0, "1", 1, 0);
  door::Finished end = finished(1, 0, true);
  end.reason = door::FinishReason::kFailed;
  end.error_id = "TRI-REQ-001";
  end.error_message = "logits are not numbers";
  book.book(end, 10);
  const Answer answer = book.take(1);
  EXPECT_TRUE(answer.failed());
  EXPECT_EQ(finish_reason_name(answer, 0), "error");
  EXPECT_EQ(error_id(failure_of(answer, 0)), "TRI-REQ-001");
}

TEST(AnswerBook, EventsOfUnknownTagsAreIgnored) {
  AnswerBook book;
  book.open(1, 0, "1", 1, 0);
  EXPECT_EQ(book.book(piece(9, 0, {1}, "x"), 10).answer, nullptr);
  book.book(piece(1, 7, {1}, "x"), 10);
  EXPECT_EQ(book.take(1).choices.size(), 1u);
}

TEST(AnswerBook, ALostConnectionEndsAllOpenAnswers) {
  AnswerBook book;
  book.open(1, 0, "1", 1, 2'000'000'000);
  book.open(2, 1, "2", 1, 2'000'200'000);
  const auto open =
      book.abandon(unavailable("TRI-NET-031", "the connection was lost"), 2'000'600'000);
  ASSERT_EQ(open.size(), 2u);
  // Times are what went by, although no answer came.
  EXPECT_EQ(answer_json(open[0], 0)["duration_ms"], 600);
  EXPECT_EQ(answer_json(open[1], 0)["duration_ms"], 400);
  EXPECT_TRUE(answer_json(open[0], 0)["ttft_ms"].is_null());
  EXPECT_TRUE(open[1].failed());
  EXPECT_EQ(error_id(failure_of(open[0], 0)), "TRI-NET-031");
  EXPECT_EQ(book.num_open(), 0u);
}

TEST(AnswerJson, LogprobsFollowTheirTokensAndThePromptsBeginWithNull) {
  Answer answer;
  answer.choices.resize(1);
  answer.choices[0].logprobs = {{{5, -0.5f}, {{5, -0.5f}, {6, -1.f}}, "", {}}};
  answer.prompt_logprobs = {{{3, -2.f}, {}, "", {}}};
  const auto json = answer_json(answer, 0);
  EXPECT_EQ(json["logprobs"].dump(),
            R"([{"token_id":5,"logprob":-0.5,"top":[{"token_id":5,"logprob":-0.5},)"
            R"({"token_id":6,"logprob":-1.0}]}])");
  EXPECT_EQ(json["prompt_logprobs"].dump(), R"([null,{"token_id":3,"logprob":-2.0,"top":[]}])");
}

TEST(AnswerJson, TheStopStringIsTheStopReason) {
  Answer answer;
  answer.choices.resize(1);
  EXPECT_EQ(answer_json(answer, 0)["stop_reason"], nullptr);
  answer.choices[0].finished.stop_string = "\n\n";
  EXPECT_EQ(answer_json(answer, 0)["stop_reason"], "\n\n");
  answer.choices[0].finished.reason = door::FinishReason::kLength;
  EXPECT_EQ(answer_json(answer, 0)["finish_reason"], "length");
  answer.choices[0].finished.reason = door::FinishReason::kCancelled;
  EXPECT_EQ(answer_json(answer, 0)["finish_reason"], "cancelled");
}

}  // namespace answers_test
}  // namespace trireme
