// Chats to prompts and ids, with the demo model and the templates of tests/data.
#include "model/chat/chat_format.h"

#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "model/chat/answer/answer_format.h"
#include "model/chat/answer/marker_match.h"
#include "model/file_text.h"
#include "model/tokenizer/tokenizer.h"
#include "tests/chat/answer_pieces.h"
#include "tests/chat/derived_dialects.h"
#include "tests/test_data.h"

namespace trireme {
namespace chat_format_test {

constexpr int64_t kNow = 1720170247;
const std::string kDemo = TRIREME_SOURCE_DIR "/models/demo";
const char* const kTools = R"([{"type": "function", "function": {"name": "get_weather",
  "parameters": {"type": "object", "properties": {"city": {"type": "string"}}}}},
  {"type": "function", "function": {"name": "get_time", "parameters": {}}}])";

class ChatFormatTest : public ::testing::Test {
 protected:
  ChatFormatTest() : tokenizer_(Tokenizer::load_folder(kDemo).value()) {}

  std::unique_ptr<const ChatFormat> load(const std::string& name = "") const {
    const std::string file = name.empty() ? "" : test_data() + "/" + name + ".jinja";
    auto format = ChatFormat::load(kDemo, file, *tokenizer_);
    EXPECT_TRUE(format.ok()) << format.status();
    return format.ok() ? std::move(*format) : nullptr;
  }

  static ChatRequest chat(const std::string& messages) {
    ChatRequest request;
    request.messages_json = messages;
    return request;
  }

  static std::string error_of(const ChatFormat& format, const ChatRequest& request) {
    const auto prompt = format.prompt_of(request, kNow);
    return prompt.ok() ? "" : error_id(prompt.status());
  }

  std::vector<TokenId> ids_of(const std::string& text) const {
    return tokenizer_->encode(text, {.add_special = false}).value();
  }

  std::unique_ptr<const Tokenizer> tokenizer_;
};

TEST_F(ChatFormatTest, ThePlainTextIsEncodedAsOneString) {
  const auto format = load();
  const auto prompt = format->prompt_of(
      chat(R"([{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi \u00e9"},
               {"role": "assistant", "content": "Yes."}, {"role": "user", "content": "Go on"}])"),
      kNow);
  ASSERT_TRUE(prompt.ok()) << prompt.status();
  EXPECT_EQ(prompt->text,
            "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nHi \xC3\xA9<|im_end|>\n"
            "<|im_start|>assistant\nYes.<|im_end|>\n<|im_start|>user\nGo on<|im_end|>\n"
            "<|im_start|>assistant\n");
  EXPECT_EQ(prompt->ids, ids_of(prompt->text));
  ASSERT_TRUE(prompt->format);
  EXPECT_EQ(describe(read_answer(prompt->format, {{"Sure. <tool_call>", false}})),
            "reasoning[] content[Sure. <tool_call>] complete=0");
}

TEST_F(ChatFormatTest, ToolsAreShownAndCallsAreRead) {
  const auto format = load();
  EXPECT_TRUE(format->abilities().tools) << format->abilities().no_tools;
  ChatRequest request = chat(R"([{"role": "user", "content": "Weather?"}])");
  request.tools_json = kTools;
  auto prompt = format->prompt_of(request, kNow);
  ASSERT_TRUE(prompt.ok()) << prompt.status();
  EXPECT_NE(prompt->text.find("get_weather"), std::string::npos);
  const std::string answer =
      "<tool_call>{\"name\": \"get_weather\", \"arguments\": {\"city\": \"Bonn\"}}</tool_call>";
  EXPECT_EQ(describe(read_answer(prompt->format, {{answer, false}})),
            "reasoning[] content[] get_weather({\"city\": \"Bonn\"}) complete=1");
  request.tool_choice = ToolChoice::kNone;
  prompt = format->prompt_of(request, kNow);
  EXPECT_EQ(prompt->text.find("get_weather"), std::string::npos);
  EXPECT_EQ(describe(read_answer(prompt->format, {{answer, false}})),
            "reasoning[] content[" + answer + "] complete=0");
}

TEST_F(ChatFormatTest, ACallThatIsAskedForIsBegunByTheServer) {
  const auto format = load();
  ChatRequest request = chat(R"([{"role": "user", "content": "Weather?"}])");
  request.tools_json = kTools;
  const auto free = format->prompt_of(request, kNow);
  request.tool_choice = ToolChoice::kNamed;
  request.tool_name = "get_weather";
  const auto named = format->prompt_of(request, kNow);
  ASSERT_TRUE(named.ok()) << named.status();
  const std::string forced = named->text.substr(free->text.size());
  const std::string opening = "<tool_call>{\"name\": \"get_weather\", \"arguments\": {";
  EXPECT_TRUE(opening.starts_with(forced)) << forced;
  EXPECT_NE(forced.find("get_weather"), std::string::npos) << forced;
  EXPECT_EQ(named->ids.size() > free->ids.size(), true);
  EXPECT_EQ(tokenizer_->decode(named->ids, false), named->text);
  const std::string whole = opening + "\"city\": \"Bonn\"}}</tool_call>";
  EXPECT_EQ(describe(read_answer(named->format, {{whole.substr(forced.size()), false}})),
            "reasoning[] content[] get_weather({\"city\": \"Bonn\"}) complete=1");

  request.tool_choice = ToolChoice::kRequired;
  const auto required = format->prompt_of(request, kNow);
  ASSERT_TRUE(required.ok()) << required.status();
  const std::string begun = required->text.substr(free->text.size());
  EXPECT_TRUE(begun.starts_with("<tool_call>{\"")) << begun;
  EXPECT_EQ(begun.find("get_weather"), std::string::npos) << begun;
  EXPECT_EQ(describe(read_answer(required->format, {{whole.substr(begun.size()), false}})),
            "reasoning[] content[] get_weather({\"city\": \"Bonn\"}) complete=1");
}

// A tokenizer that writes a space in front of each text, and none that spells line breaks.
TEST_F(ChatFormatTest, ANamedChoiceIsBegunWhateverTheTokensSpell) {
  auto file = nlohmann::json::parse(
      read_text_file(kDemo + "/tokenizer.json", 1 << 24, "TRI-CHAT-001").value());
  for (const char* kind : {"space", "upper"}) {
    auto changed = file;
    changed["normalizer"] =
        kind == std::string("space")
            ? nlohmann::json{{"type", "Prepend"}, {"prepend", " "}}
            : nlohmann::json{{"type", "Replace"}, {"pattern", {{"String", ":"}}}, {"content", ";"}};
    const auto tokenizer = Tokenizer::parse(changed.dump());
    ASSERT_TRUE(tokenizer.ok()) << tokenizer.status();
    const auto format = ChatFormat::load(kDemo, "", **tokenizer).value();
    ChatRequest request = chat(R"([{"role": "user", "content": "Weather?"}])");
    request.tools_json = kTools;
    request.tool_choice = ToolChoice::kNamed;
    request.tool_name = "get_weather";
    const auto prompt = format->prompt_of(request, kNow);
    ASSERT_TRUE(prompt.ok()) << prompt.status();
    const std::string& forced = prompt->format->forced;
    const std::string whole =
        "<tool_call>{\"name\": \"get_weather\", \"arguments\": {}}</tool_call>";
    EXPECT_TRUE(whole.starts_with(forced)) << forced;
    EXPECT_NE(forced.find("get_weather"), std::string::npos) << kind << forced;
    ASSERT_LE(forced.size(), whole.size());
    EXPECT_EQ(describe(read_answer(prompt->format, {{whole.substr(forced.size()), false}})),
              "reasoning[] content[] get_weather({}) complete=1");
  }
}

TEST_F(ChatFormatTest, EveryDialectGoesOnFromTheOpeningOfACall) {
  int num_forced = 0;
  for (const std::string& file : template_files()) {
    const DerivedDialect derived = derive(file);
    if (!derived.found.tools) continue;
    const auto format = ChatFormat::load(kDemo, file, *tokenizer_);
    ASSERT_TRUE(format.ok()) << format.status();
    const std::string arguments = R"({"zq_key": "zq value", "zq_last": "zq end"})";
    const std::string answer = derived.rendered({{}, {}, {{std::string(kProbeTool), arguments}}});
    const std::string& before = derived.found.dialect.calls.before_name;
    ASSERT_NE(answer.find(before), std::string::npos) << derived.name << answer;
    for (const ToolChoice choice : {ToolChoice::kRequired, ToolChoice::kNamed}) {
      ChatRequest request = chat("[" + probe_user() + "]");
      request.tools_json = probe_tools();
      request.tool_choice = choice;
      request.tool_name = kProbeTool;
      const auto prompt = (*format)->prompt_of(request, kNow);
      ASSERT_TRUE(prompt.ok()) << prompt.status();
      std::string forced = prompt->format->forced;
      EXPECT_TRUE(prompt->text.ends_with(forced));
      const std::string closing = derived.found.dialect.reasoning_close.text();
      if (AnswerParser(prompt->format, 0).in_reasoning()) {
        ASSERT_TRUE(forced.starts_with(closing)) << derived.name << ": " << forced;
        forced.erase(0, closing.size());
      }
      // White space that the prompt ends with already is not written again.
      std::string call = answer.substr(answer.find(before));
      while (!call.starts_with(forced) && is_blank(call[0])) call.erase(0, 1);
      ASSERT_TRUE(call.starts_with(forced)) << derived.name << ": " << forced << " / " << call;
      EXPECT_EQ(describe(read_answer(prompt->format, {{call.substr(forced.size()), false}})),
                "reasoning[] content[] zq_first(" + arguments + ") complete=1")
          << derived.name;
      ++num_forced;
    }
  }
  EXPECT_GE(num_forced, 30);
}

TEST_F(ChatFormatTest, ReasoningThatThePromptOpensOrClosesIsKnown) {
  const auto opened = load("chat_templates/opened_reasoning");
  auto prompt = opened->prompt_of(chat(R"([{"role": "user", "content": "Hi"}])"), kNow);
  ASSERT_TRUE(prompt.ok()) << prompt.status();
  EXPECT_EQ(describe(read_answer(prompt->format, {{"Hm.\n</think>\n\nYes.", false}})),
            "reasoning[Hm.] content[Yes.] complete=0");
  EXPECT_TRUE(AnswerParser(prompt->format, 1).in_reasoning());

  ChatRequest request = chat(R"([{"role": "user", "content": "Hi"}])");
  request.tools_json = kTools;
  request.tool_choice = ToolChoice::kRequired;
  prompt = opened->prompt_of(request, kNow);
  ASSERT_TRUE(prompt.ok()) << prompt.status();
  EXPECT_NE(prompt->text.find("<think>\n\n</think>\n\n<|calls_begin|>"), std::string::npos)
      << prompt->text;

  const auto shared = load("chat_templates/shared_opening");
  for (const char* effort : {"high", "none"}) {
    request.kwargs_json = std::string(R"({"reasoning_effort": ")") + effort + "\"}";
    prompt = shared->prompt_of(request, kNow);
    ASSERT_TRUE(prompt.ok()) << prompt.status();
    EXPECT_NE(prompt->text.find("<think>\n\n</think>\n\n<tool_call>"), std::string::npos)
        << prompt->text;
  }

  const auto tags = load("chat_templates/call_tags");
  request = chat(R"([{"role": "user", "content": "Hi"}])");
  request.kwargs_json = R"({"reasoning_effort": "none"})";
  prompt = tags->prompt_of(request, kNow);
  ASSERT_TRUE(prompt.ok()) << prompt.status();
  EXPECT_TRUE(prompt->text.ends_with("<think>\n\n</think>\n\n"));
  EXPECT_EQ(describe(read_answer(prompt->format, {{"Yes.", false}})),
            "reasoning[] content[Yes.] complete=0");
}

TEST_F(ChatFormatTest, TheLastMessageIsContinued) {
  const auto format = load();
  ChatRequest request =
      chat(R"([{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Dear Mr. "}])");
  request.continue_final_message = true;
  const auto prompt = format->prompt_of(request, kNow);
  ASSERT_TRUE(prompt.ok()) << prompt.status();
  EXPECT_EQ(prompt->text, "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\nDear Mr.");
  EXPECT_EQ(describe(read_answer(prompt->format, {{" X", false}})),
            "reasoning[] content[ X] complete=0");
  const auto spaced = load("chat/brackets")->prompt_of(request, kNow);
  ASSERT_TRUE(spaced.ok()) << spaced.status();
  EXPECT_EQ(describe(read_answer(spaced->format, {{" X", false}})),
            "reasoning[] content[ X] complete=0");
  request.messages_json = R"([{"role": "user", "content": "Hi"}])";
  EXPECT_EQ(error_of(*format, request), "TRI-CHAT-006");
}

// No header of an answer follows the result of a tool.
const char* const kHeaderOnce = R"({%- if tools %}{{ '<|tools|>' + tools | tojson }}{%- endif %}
{%- for m in messages %}
    {%- if m.role == 'user' %}{{ '<|User|>' + m.content }}
    {%- elif m.role == 'tool' %}{{ '<out>' + m.content + '</out>' }}
    {%- else %}
        {%- if messages[loop.index0 - 1].role != 'tool' %}{{ '<|Assistant|>' }}{%- endif %}
        {{- m.content }}
        {%- for c in m.tool_calls or [] %}
            {{- '<call>{"name": "' + c.function.name + '", "arguments": ' }}
            {{- c.function.arguments | tojson + '}</call>' }}
        {%- endfor %}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt and messages[-1].role != 'tool' %}{{ '<|Assistant|>' }}{%- endif %})";

TEST_F(ChatFormatTest, AnAnswerBeginsAfterTheResultOfATool) {
  const std::string file = ::testing::TempDir() + "/header_once.jinja";
  std::ofstream(file) << kHeaderOnce;
  const auto format = ChatFormat::load(kDemo, file, *tokenizer_).value();
  EXPECT_TRUE(format->abilities().tools) << format->abilities().no_tools;
  const std::string chat_text =
      R"([{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "", "tool_calls": [
          {"id": "1", "function": {"name": "get_time", "arguments": {}}}]},
          {"role": "tool", "tool_call_id": "1", "content": "<call>{"})";
  ChatRequest request = chat(chat_text + "]");
  request.tools_json = kTools;
  auto prompt = format->prompt_of(request, kNow);
  ASSERT_TRUE(prompt.ok()) << prompt.status();
  EXPECT_TRUE(prompt->text.ends_with("</out>")) << prompt->text;
  EXPECT_EQ(prompt->format->opened, "");
  EXPECT_EQ(describe(read_answer(prompt->format, {{"Noon", false}})),
            "reasoning[] content[Noon] complete=0");
  request.messages_json = chat_text + R"(, {"role": "assistant", "content": "Dear"}])";
  request.continue_final_message = true;
  prompt = format->prompt_of(request, kNow);
  ASSERT_TRUE(prompt.ok()) << prompt.status();
  EXPECT_EQ(prompt->format->opened, "Dear");
}

TEST_F(ChatFormatTest, WithoutGenerationPromptNothingIsAdded) {
  const auto format = load();
  ChatRequest request = chat(R"([{"role": "user", "content": "Hi"}])");
  request.no_generation_prompt = true;
  EXPECT_EQ(format->prompt_of(request, kNow)->text, "<|im_start|>user\nHi<|im_end|>\n");
  request.raw = true;
  EXPECT_FALSE(format->prompt_of(request, kNow)->format);
}

TEST_F(ChatFormatTest, PartsBecomeTheFormThatTheTemplateTakes) {
  const std::string parts = R"([{"role": "user", "content": [{"type": "text", "text": "a"},)"
                            R"( {"type": "text", "text": "b"}]}])";
  EXPECT_NE(load()->prompt_of(chat(parts), kNow)->text.find("user\na\nb<"), std::string::npos);
  EXPECT_TRUE(load("chat/parts")->abilities().parts);
  for (const std::string& name : {std::string(), std::string("chat/parts")}) {
    const auto format = load(name);
    for (const char* part : {R"({"type": "image_url", "image_url": {"url": "x"}})",
                             R"({"type": "image", "text": "x"})",
                             R"({"type": "text"})",
                             R"({"file": "x"})"}) {
      const std::string text = R"({"type": "text", "text": "a"}, )";
      EXPECT_EQ(error_of(*format, chat(R"([{"role": "user", "content": [)" + text + part + "]}]")),
                "TRI-CHAT-004")
          << name << part;
    }
  }
}

TEST_F(ChatFormatTest, PartsAreJoinedForRolesThatTakeText) {
  const std::string file = ::testing::TempDir() + "/user_parts.jinja";
  std::ofstream(file) << R"({%- for m in messages %}{{ '<|' + m.role + '|>' }}
{%- if m.role == 'user' and m.content is not string %}
    {%- for part in m.content %}{{ '[' + part.text + ']' }}{%- endfor %}
{%- else %}{{ m.content }}{%- endif %}{%- endfor %}
{%- if add_generation_prompt %}{{ '<|assistant|>' }}{%- endif %})";
  const auto format = ChatFormat::load(kDemo, file, *tokenizer_).value();
  const std::string parts = R"([{"type": "text", "text": "a"}, {"type": "text", "text": "b"}])";
  std::string messages;
  for (const char* role : {"system", "user", "assistant", "tool", "function", "user"}) {
    messages += (messages.empty() ? "[" : ", ") + std::string(R"({"role": ")") + role +
                R"(", "content": )" + parts + "}";
  }
  const auto prompt = format->prompt_of(chat(messages + "]"), kNow);
  ASSERT_TRUE(prompt.ok()) << prompt.status();
  EXPECT_EQ(prompt->text,
            "<|system|>a\nb<|user|>[a][b]<|assistant|>a\nb<|tool|>a\nb<|function|>a\nb"
            "<|user|>[a][b]<|assistant|>");
}

TEST_F(ChatFormatTest, WhatCannotBeIsRefusedByName) {
  const auto format = load();
  for (const char* messages : {"",
                               "{}",
                               "[]",
                               "[1]",
                               "[{}]",
                               R"([{"role": 1}])",
                               "[{\"role\": \"user\"",
                               "null",
                               R"([{"role": "user", "content": [1]}])",
                               R"([{"role": "assistant", "content": "", "tool_calls": 5}])"}) {
    EXPECT_EQ(error_of(*format, chat(messages)), "TRI-CHAT-006") << messages;
  }
  ChatRequest request = chat(R"([{"role": "user", "content": "Hi"}])");
  request.kwargs_json = R"({"messages": []})";
  EXPECT_EQ(error_of(*format, request), "TRI-CHAT-006");
  request.kwargs_json = "[]";
  EXPECT_EQ(error_of(*format, request), "TRI-CHAT-006");
  request.kwargs_json.clear();
  request.tools_json = "[1]";
  EXPECT_EQ(error_of(*format, request), "TRI-CHAT-006");
  request.tools_json.clear();
  request.tool_choice = ToolChoice::kRequired;
  EXPECT_EQ(error_of(*format, request), "TRI-CHAT-006");
  request.tools_json = kTools;
  request.tool_choice = ToolChoice::kNamed;
  request.tool_name = "other";
  EXPECT_EQ(error_of(*format, request), "TRI-CHAT-006");

  request.tool_choice = ToolChoice::kAuto;
  EXPECT_EQ(error_of(*load("chat/plain"), request), "TRI-CHAT-005");
  EXPECT_EQ(error_of(*load("chat/brackets"), chat(R"([{"role": "assistant", "content": "x"}])")),
            "TRI-CHAT-007");
  EXPECT_EQ(
      error_of(*load("chat/reasoning"),
               chat(R"([{"role": "user", "content": "Hi"}, {"role": "assistant", "content": null,
                 "tool_calls": [{"id": "1", "function": {"name": "f", "arguments": "{}"}}]}])")),
      "TRI-CHAT-004");
  std::string lists = R"([{"role": "user", "content": "x", "y": [)";
  for (int i = 0; i < 2'000'000; ++i) lists += "[],";
  lists.back() = ']';
  EXPECT_EQ(error_of(*format, chat(lists + "}]")), "TRI-CHAT-003");
  std::string many = "[";
  for (int i = 0; i <= 4096; ++i) many += R"({"role": "user", "content": "x"},)";
  many.back() = ']';
  EXPECT_EQ(error_of(*format, chat(many)), "TRI-CHAT-006");
}

TEST_F(ChatFormatTest, ATemplateIsNeededAndMustCompile) {
  EXPECT_EQ(error_id(ChatFormat::load(test_data() + "/golden/models", "", *tokenizer_).status()),
            "TRI-CHAT-001");
  EXPECT_EQ(error_id(ChatFormat::load(kDemo, "/no/such/file", *tokenizer_).status()),
            "TRI-CHAT-001");
  const std::string file = ::testing::TempDir() + "/broken.jinja";
  std::ofstream(file) << "line\n{% if %}";
  const auto broken = ChatFormat::load(kDemo, file, *tokenizer_);
  EXPECT_EQ(error_id(broken.status()), "TRI-CHAT-002");
  EXPECT_NE(message_of(broken.status()).find("line 2"), std::string::npos) << broken.status();
}

}  // namespace chat_format_test
}  // namespace trireme
