// Chats in JSON lines, and the message of their answers.
#include "clients/cli/chat_line.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>
#include <utility>

#include "clients/cli/assistant_message.h"

namespace trireme {
namespace chat_line_test {

using testing::HasSubstr;

StatusOr<ChatRequest> read(const std::string& line) {
  auto value = JsonValue::parse(line, "TRI-RUN-021", "the line");
  RETURN_IF_ERROR(value.status());
  return read_chat(*value, "TRI-RUN-022");
}

TEST(ChatLine, JsonTextsArePassedOnAsTheyAreWritten) {
  const auto chat = read(
      R"({"messages": [ {"content":1.0,"role":"user", "big": 123456789012345678901234567890} ],)"
      R"( "tools":[{"b":1,"a":2}], "documents": [{}], "chat_template_kwargs": {"x": 1e2}})");
  ASSERT_TRUE(chat.ok()) << message_of(chat.status());
  EXPECT_EQ(chat->messages_json,
            R"([ {"content":1.0,"role":"user", "big": 123456789012345678901234567890} ])");
  EXPECT_EQ(chat->tools_json, R"([{"b":1,"a":2}])");
  EXPECT_EQ(chat->documents_json, "[{}]");
  EXPECT_EQ(chat->kwargs_json, R"({"x": 1e2})");
}

TEST(ChatLine, AbsentAndNullFieldsTakeTheirDefaults) {
  for (const char* line : {R"({"messages": []})",
                           R"({"messages": [], "tools": null, "tool_choice": null,)"
                           R"( "parallel_tool_calls": null, "documents": null,)"
                           R"( "chat_template_kwargs": null, "add_generation_prompt": null})"}) {
    const auto chat = read(line);
    ASSERT_TRUE(chat.ok()) << line;
    ChatRequest expected;
    expected.messages_json = "[]";
    EXPECT_EQ(*chat, expected) << line;
  }
}

TEST(ChatLine, FlagsOfTheAnswerAreRead) {
  const auto chat = read(R"({"messages": [], "parallel_tool_calls": false,)"
                         R"( "continue_final_message": true})");
  ASSERT_TRUE(chat.ok());
  EXPECT_TRUE(chat->one_call);
  EXPECT_TRUE(chat->continue_final_message);
  EXPECT_TRUE(chat->no_generation_prompt) << "a continued message has no prompt for another";
  EXPECT_TRUE(read(R"({"messages": [], "add_generation_prompt": false})")->no_generation_prompt);
}

TEST(ChatLine, EveryToolChoiceIsRead) {
  const auto choice = [](const std::string& json) {
    auto chat = read(R"({"messages": [], "tool_choice": )" + json + "}");
    return chat.ok() ? std::pair(chat->tool_choice, chat->tool_name)
                     : std::pair(ToolChoice::kAuto, error_id(chat.status()));
  };
  EXPECT_EQ(choice(R"("auto")"), std::pair(ToolChoice::kAuto, std::string()));
  EXPECT_EQ(choice(R"("none")"), std::pair(ToolChoice::kNone, std::string()));
  EXPECT_EQ(choice(R"("required")"), std::pair(ToolChoice::kRequired, std::string()));
  EXPECT_EQ(choice(R"({"type": "function", "function": {"name": "oar"}})"),
            std::pair(ToolChoice::kNamed, std::string("oar")));
  for (const char* bad :
       {R"("any")", "1", "[]", "{}", R"({"function": "oar"})", R"({"function": {"name": 1}})"}) {
    EXPECT_EQ(choice(bad).second, "TRI-RUN-022") << bad;
  }
}

TEST(ChatLine, AFieldOfTheWrongTypeIsNamed) {
  for (const auto& [line, field] :
       {std::pair(R"({"messages": "hi"})", "messages"),
        {R"({"messages": [], "tools": {}})", "tools"},
        {R"({"messages": [], "documents": 1})", "documents"},
        {R"({"messages": [], "chat_template_kwargs": []})", "chat_template_kwargs"},
        {R"({"messages": [], "parallel_tool_calls": 0})", "parallel_tool_calls"},
        {R"({"messages": [], "add_generation_prompt": "yes"})", "add_generation_prompt"}}) {
    const auto chat = read(line);
    ASSERT_FALSE(chat.ok()) << line;
    EXPECT_EQ(error_id(chat.status()), "TRI-RUN-022");
    EXPECT_THAT(message_of(chat.status()), HasSubstr(std::string("\"") + field + "\" is "));
  }
}

TEST(AssistantMessage, PartsOfAKindAreJoinedAndCallsStayApart) {
  AssistantMessage message;
  message.add({PartKind::kReasoning, 0, "", "", "Why "});
  message.add({PartKind::kReasoning, 0, "", "", "not?"});
  message.add({PartKind::kContent, 0, "", "", "Let me "});
  message.add({PartKind::kContent, 0, "", "", "see."});
  message.add({PartKind::kToolCall, 0, "call_1", "row", "{\"st"});
  message.add({PartKind::kToolCall, 0, "", "", "rokes\": 3}"});
  message.add({PartKind::kToolCall, 1, "call_2", "rest", "{}"});
  EXPECT_EQ(message.json(), nlohmann::ordered_json::parse(R"({
    "role": "assistant", "content": "Let me see.", "reasoning_content": "Why not?",
    "tool_calls": [
      {"id": "call_1", "type": "function",
       "function": {"name": "row", "arguments": "{\"strokes\": 3}"}},
      {"id": "call_2", "type": "function", "function": {"name": "rest", "arguments": "{}"}}]})"));
}

TEST(AssistantMessage, TheContentIsNullBesideCallsAloneAndAnEmptyTextOtherwise) {
  AssistantMessage message;
  EXPECT_EQ(message.json().dump(), R"({"role":"assistant","content":""})");
  message.add({PartKind::kToolCall, 0, "call_1", "row", "{}"});
  EXPECT_TRUE(message.json()["content"].is_null());
}

}  // namespace chat_line_test
}  // namespace trireme
