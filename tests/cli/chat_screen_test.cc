// The text of `trireme chat` on a stdout that is no terminal.
#include "clients/cli/chat/chat_screen.h"

#include <gtest/gtest.h>

#include <cstdio>
#include <nlohmann/json.hpp>

namespace trireme {
namespace chat_screen_test {

class ChatScreenTest : public testing::Test {
 protected:
  using File = std::unique_ptr<std::FILE, int (*)(std::FILE*)>;

  // Shows the parts and the end of an answer; returns stdout.
  std::string shown(const std::vector<AnswerPart>& parts,
                    ReasoningDisplay reasoning,
                    bool json = false,
                    door::FinishReason reason = door::FinishReason::kStop) {
    const File out(std::tmpfile(), std::fclose);
    const File err(std::tmpfile(), std::fclose);
    Terminal terminal(out.get(), err.get());
    ChatScreen screen(terminal, reasoning, json);
    Answer answer;
    answer.id = "1";
    answer.is_chat = true;
    answer.choices.resize(1);
    answer.choices[0].finished.reason = reason;
    for (const AnswerPart& part : parts) {
      answer.choices[0].message.add(part);
      screen.on_part(answer, 0, part);
    }
    screen.on_done(std::move(answer));
    EXPECT_TRUE(screen.take_answer());
    EXPECT_FALSE(screen.take_answer());
    err_ = content(err.get());
    return content(out.get());
  }
  static std::string content(std::FILE* file) {
    std::rewind(file);
    std::string text(1 << 14, '\0');
    text.resize(std::fread(text.data(), 1, text.size(), file));
    return text;
  }

  const std::vector<AnswerPart> parts_ = {{PartKind::kReasoning, 0, "", "", "Let me "},
                                          {PartKind::kReasoning, 0, "", "", "think."},
                                          {PartKind::kContent, 0, "", "", "Fo"},
                                          {PartKind::kContent, 0, "", "", "ur."}};
  std::string err_;
};

TEST_F(ChatScreenTest, WithoutColoursReasoningStandsBetweenLines) {
  EXPECT_EQ(shown(parts_, ReasoningDisplay::kShow),
            "[reasoning]\nLet me think.\n[answer]\nFour.\n");
}

TEST_F(ChatScreenTest, HiddenReasoningIsNotPrinted) {
  EXPECT_EQ(shown(parts_, ReasoningDisplay::kHide), "Four.\n");
}

TEST_F(ChatScreenTest, CallsAreShownAtTheEndAndACutIsNoted) {
  EXPECT_EQ(shown({{PartKind::kContent, 0, "", "", "Row.\n"},
                   {PartKind::kToolCall, 0, "call_1", "row", "{\"n\""},
                   {PartKind::kToolCall, 0, "", "", ": 1}"}},
                  ReasoningDisplay::kShow,
                  false,
                  door::FinishReason::kLength),
            "Row.\n[call of row: {\"n\": 1}]\n");
  EXPECT_NE(err_.find("--max-tokens"), std::string::npos);
}

TEST_F(ChatScreenTest, JsonIsOneLineWithTheWholeMessage) {
  const auto line = nlohmann::json::parse(shown(parts_, ReasoningDisplay::kHide, true));
  EXPECT_EQ(line["message"]["content"], "Four.");
  EXPECT_EQ(line["message"]["reasoning_content"], "Let me think.");
  EXPECT_EQ(line["finish_reason"], "stop");
}

}  // namespace chat_screen_test
}  // namespace trireme
