#include "model/chat/answer/answer_parser.h"

#include <gtest/gtest.h>

#include "tests/chat/answer_dialects.h"
#include "tests/chat/answer_pieces.h"

namespace trireme {
namespace answer_parser_test {

std::string read(const std::string& dialect, const std::string& text) {
  const HandDialect& hand = hand_dialect(dialect);
  return describe(read_in_all_ways(hand.format, text, hand.specials));
}

TEST(AnswerParser, ReadsReasoningContentAndCallsInTags) {
  const HandDialect& tags = hand_dialect("tags");
  EXPECT_EQ(read("tags", tags.answers[0]),
            "reasoning[Hm, 2 < 3.] content[Yes.] f({\"text\": \"a\\\"}</call>\", \"n\": [1, "
            "{\"x\": null}]}) get_weather({}) complete=2");
}

TEST(AnswerParser, GivesBackTextThatIsNoCall) {
  const HandDialect& tags = hand_dialect("tags");
  EXPECT_EQ(read("tags", tags.answers[1]),
            "reasoning[] content[" + tags.answers[1] + "] complete=0");
  EXPECT_EQ(read("tags", "<call>{\"name\": 5}</call>"),
            "reasoning[] content[<call>{\"name\": 5}</call>] complete=0");
  EXPECT_EQ(read("tags", "<call>{\"name\": \"f\""),
            "reasoning[] content[<call>{\"name\": \"f\"] complete=0");
  EXPECT_EQ(read("tags", "a\n<call>no <call>{\"name\": \"f\", \"arguments\": {}}</call> b"),
            "reasoning[] content[a\n<call>no  b] f({}) complete=1");
}

TEST(AnswerParser, KeepsReasoningThatDoesNotEnd) {
  EXPECT_EQ(read("tags", "<think>\nHm\n</thi"), "reasoning[Hm\n</thi] content[] complete=0");
  EXPECT_EQ(read("tags", "No <think>x</think>"),
            "reasoning[] content[No <think>x</think>] complete=0");
}

TEST(AnswerParser, EndsABrokenCallAndShowsTheRest) {
  EXPECT_EQ(read("tags", "<call>{\"name\": \"f\", \"arguments\": {\"n\": 1,, 2}}</call>"),
            "reasoning[] content[, 2}}</call>] f({\"n\": 1,) complete=0");
  EXPECT_EQ(read("tags", "<call>{\"name\": \"f\", \"arguments\": {\"n\": 1"),
            "reasoning[] content[] f({\"n\": 1) complete=0");
}

TEST(AnswerParser, AcceptsACallWithoutItsEnd) {
  EXPECT_EQ(read("tags", "<call>{\"name\": \"f\", \"arguments\": {}}"),
            "reasoning[] content[] f({}) complete=1");
  EXPECT_EQ(read("tags", "<call>{\"name\": \"f\", \"arguments\": {}"),
            "reasoning[] content[] f({}) complete=1");
  EXPECT_EQ(read("tags", "<call>{\"name\": \"f\"}</call>"),
            "reasoning[] content[] f({}) complete=1");
  EXPECT_EQ(read("tags", "<call>{\"name\": \"f\", \"arguments\": \"{\\\"a\\\": 1}\"}</call>"),
            "reasoning[] content[] f({\"a\": 1}) complete=1");
}

TEST(AnswerParser, ReadsAListAfterASpecialToken) {
  const HandDialect& list = hand_dialect("list");
  EXPECT_EQ(read("list", list.answers[0]),
            "reasoning[] content[Wait.] f({\"n\": -1.5e3}) get_weather({}) complete=2");
  EXPECT_EQ(read("list", "[CALLS] nothing"), "reasoning[] content[ nothing] complete=0");
  const std::string call = "{\"function\": {\"name\": \"f\", \"arguments\": {}}}";
  EXPECT_EQ(read("list", "[CALLS] [" + call + ", and so on"),
            "reasoning[] content[, and so on] f({}) complete=1");
  EXPECT_EQ(read("list", "[CALLS] [" + call + ","), "reasoning[] content[,] f({}) complete=1");
  const ReadAnswer answer = read_answer(list.format, pieces_of(list.answers[0], list.specials));
  ASSERT_EQ(answer.calls.size(), 2u);
  EXPECT_EQ(answer.calls[0].id.size(), 9u);
  EXPECT_NE(answer.calls[0].id, answer.calls[1].id);
}

TEST(AnswerParser, TypesTaggedParametersByTheSchema) {
  const HandDialect& tags = hand_dialect("function_tags");
  EXPECT_EQ(read("function_tags", tags.answers[0]),
            "reasoning[] content[So:] f({\"text\": \"line 1\\n\\\"line\\\" 2 </par\", \"n\": 42}) "
            "get_weather({}) complete=2");
  EXPECT_EQ(read("function_tags", tags.answers[1]),
            "reasoning[] content[] f({\"n\": true, \"other\": [1]}) complete=1");
}

TEST(AnswerParser, ReadsATextThatMayBeNull) {
  const auto maybe = [](const std::string& value) {
    return read(
        "function_tags",
        "<tool_call><function=f><parameter=maybe>" + value + "</parameter></function></tool_call>");
  };
  EXPECT_EQ(maybe("5"), "reasoning[] content[] f({\"maybe\": \"5\"}) complete=1");
  EXPECT_EQ(maybe("null"), "reasoning[] content[] f({\"maybe\": null}) complete=1");
}

TEST(AnswerParser, ReadsChannelsAndRecipients) {
  const HandDialect& channels = hand_dialect("channels");
  EXPECT_EQ(read("channels", channels.answers[0]),
            "reasoning[Let me see.] content[I look.] f({\"n\": 1}) complete=1");
  EXPECT_EQ(read("channels", channels.answers[1]), "reasoning[] content[It is 5.] complete=0");
  EXPECT_EQ(read("channels",
                 "<|channel|>commentary to=functions.f <|constrain|>json<|message|>{}<|call|>"),
            "reasoning[] content[] f({}) complete=1");
  for (const char* head : {"<|channel|>analysis to=browser.search code<|message|>",
                           " to=python<|channel|>commentary<|message|>"}) {
    EXPECT_EQ(read("channels",
                   head + std::string("{\"q\": 1}<|end|><|start|>assistant"
                                      "<|channel|>final<|message|>Yes.")),
              "reasoning[{\"q\": 1}] content[Yes.] complete=0");
  }
  EXPECT_EQ(read("channels", "No channel at all"),
            "reasoning[] content[No channel at all] complete=0");
}

TEST(AnswerParser, BeginsInTheReasoningThatThePromptOpened) {
  const HandDialect& opened = hand_dialect("opened");
  AnswerParser parser(opened.format, 1);
  EXPECT_TRUE(parser.in_reasoning());
  EXPECT_EQ(read("opened", opened.answers[0]), "reasoning[Hm.] content[Yes.] f({}) complete=1");
}

// An answer that goes on from a prompt with `prefill` at its end.
ReadAnswer continued(const std::string& dialect,
                     const std::string& prefill,
                     const std::string& answer) {
  auto format = std::make_shared<AnswerFormat>(*hand_dialect(dialect).format);
  format->opened = prefill;
  return read_in_all_ways(format, answer, hand_dialect(dialect).specials);
}

TEST(AnswerParser, TakesTheRestOfAPromptsMarkerForContent) {
  EXPECT_EQ(describe(continued("tags", "\n\n<call>{\"name\"", ": \"f\"}")),
            "reasoning[] content[: \"f\"}] complete=0");
  EXPECT_EQ(describe(continued("tags", "<call>{\"name\": \"f\", \"arguments\": {\"a\": ", "1}}")),
            "reasoning[] content[1}}] complete=0");
  EXPECT_EQ(describe(continued("bare", "{\"name\": \"f\", ", "\"parameters\": {}}")),
            "reasoning[] content[\"parameters\": {}}] complete=0");
  for (const HandDialect& hand : hand_dialects()) {
    const std::string& text = hand.answers[0];
    for (size_t cut = 1; cut < text.size(); ++cut) {
      if ((text[cut] & 0xC0) == 0x80) continue;
      auto format = std::make_shared<AnswerFormat>(*hand.format);
      format->opened = text.substr(0, cut);
      const std::vector<Piece> pieces = pieces_of(text.substr(cut), hand.specials);
      EXPECT_EQ(describe(read_answer(format, pieces)),
                describe(read_answer(format, in_bytes(pieces))))
          << hand.name << ": " << format->opened;
    }
  }
}

TEST(AnswerParser, CountsNoCallOfThePrompt) {
  const std::string call = "<call>{\"name\": \"f\", \"arguments\": {}}</call>";
  EXPECT_EQ(describe(continued("tags", "Yes." + call, " Done.")),
            "reasoning[] content[ Done.] complete=0");
  EXPECT_EQ(describe(continued("tags", call, "\n" + call)),
            "reasoning[] content[] f({}) complete=1");
  auto format = std::make_shared<AnswerFormat>(*hand_dialect("tags").format);
  format->one_call = true;
  format->opened = call;
  const ReadAnswer answer = read_answer(format, {{" Done.", false}});
  EXPECT_FALSE(answer.wants_end);
  EXPECT_EQ(answer.content, " Done.");
}

TEST(AnswerParser, ReadsBareJsonOnlyOfDeclaredTools) {
  const HandDialect& bare = hand_dialect("bare");
  EXPECT_EQ(read("bare", bare.answers[0]), "reasoning[] content[] f({\"text\": \"}\"}) complete=1");
  EXPECT_EQ(read("bare", bare.answers[1]),
            "reasoning[] content[" + bare.answers[1] + "] complete=0");
  const std::string marked = "<|tag|>" + bare.answers[0];
  EXPECT_EQ(describe(read_in_all_ways(bare.format, marked, {"<|tag|>"})),
            read("bare", bare.answers[0]));
  EXPECT_EQ(read("bare", bare.answers[0] + "; " + bare.answers[0]),
            "reasoning[] content[] f({\"text\": \"}\"}) f({\"text\": \"}\"}) complete=2");
  EXPECT_EQ(read("bare", bare.answers[0] + "; and"),
            "reasoning[] content[; and] f({\"text\": \"}\"}) complete=1");
  EXPECT_EQ(read("bare", "See " + bare.answers[0]),
            "reasoning[] content[See " + bare.answers[0] + "] complete=0");
}

TEST(AnswerParser, ShowsTheCallThatTheServerOpened) {
  auto format = std::make_shared<AnswerFormat>(*hand_dialect("tags").format);
  format->forced = "<call>{\"name\": \"f";
  EXPECT_EQ(describe(read_answer(format, {{"\", \"arguments\": {}}</call>", false}})),
            "reasoning[] content[] f({}) complete=1");
}

TEST(AnswerParser, EndsAfterOneCallWhereOneIsAsked) {
  for (const HandDialect& hand : hand_dialects()) {
    auto format = std::make_shared<AnswerFormat>(*hand.format);
    format->one_call = true;
    const ReadAnswer answer = read_in_all_ways(format, hand.answers[0], hand.specials);
    EXPECT_EQ(answer.num_complete, 1) << hand.name;
    EXPECT_EQ(answer.calls.size(), 1u) << hand.name;
    EXPECT_TRUE(answer.wants_end) << hand.name;
  }
}

TEST(AnswerParser, ReadsNoCallWhereNoneMayBe) {
  for (const HandDialect& hand : hand_dialects()) {
    auto format = std::make_shared<AnswerFormat>(*hand.format);
    format->reads_calls = false;
    EXPECT_TRUE(read_in_all_ways(format, hand.answers[0], hand.specials).calls.empty());
  }
}

TEST(AnswerParser, MakesTheSameIdsFromTheSameSeed) {
  const HandDialect& tags = hand_dialect("tags");
  const std::vector<Piece> pieces = pieces_of(tags.answers[0], {});
  const ReadAnswer first = read_answer(tags.format, pieces);
  EXPECT_EQ(first, read_answer(tags.format, pieces));
  ASSERT_EQ(first.calls.size(), 2u);
  EXPECT_EQ(first.calls[0].id.size(), 29u);
  EXPECT_EQ(first.calls[0].id.substr(0, 5), "call_");
}

TEST(AnswerParser, TakesAnyTextAsContentWithoutADialect) {
  AnswerParser parser(nullptr, 1);
  std::vector<AnswerPart> parts;
  parser.push("<call>", false, parts);
  parser.push("<|end|>", true, parts);
  parser.finish(parts);
  ASSERT_EQ(parts.size(), 1u);
  EXPECT_EQ(parts[0].text, "<call>");
}

}  // namespace answer_parser_test
}  // namespace trireme
