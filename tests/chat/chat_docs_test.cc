// The examples of docs/chat.md are true.
#include <gtest/gtest.h>

#include "model/chat/chat_format.h"
#include "model/file_text.h"
#include "model/tokenizer/tokenizer.h"
#include "tests/chat/answer_pieces.h"
#include "tests/chat/derived_dialects.h"
#include "tests/test_data.h"

namespace trireme {
namespace chat_docs_test {

const std::string kSource = TRIREME_SOURCE_DIR;

class ChatDocs : public ::testing::Test {
 protected:
  ChatDocs()
      : page_(read_text_file(kSource + "/docs/chat.md", 1 << 20, "TRI-CHAT-001").value()),
        tokenizer_(Tokenizer::load_folder(kSource + "/models/demo").value()),
        format_(ChatFormat::load(kSource + "/models/demo", "", *tokenizer_).value()) {}

  // The first block of code after `heading`.
  std::string block_after(const std::string& heading) const {
    const size_t begin = page_.find("```\n", page_.find(heading)) + 4;
    return page_.substr(begin, page_.find("\n```", begin) - begin);
  }

  ChatPrompt prompt_of(ToolChoice choice) const {
    ChatRequest request;
    request.messages_json = R"([{"role": "user", "content": "Hi"}])";
    request.tools_json = R"([{"type": "function", "function": {"name": "get_weather"}},
                             {"type": "function", "function": {"name": "get_time"}}])";
    request.tool_choice = choice;
    return format_->prompt_of(request, 0).value();
  }

  std::string page_;
  std::unique_ptr<const Tokenizer> tokenizer_;
  std::unique_ptr<const ChatFormat> format_;
};

TEST_F(ChatDocs, TheDescribedDialectsAreTheFound) {
  EXPECT_EQ(block_after("For the demo") + "\n", format_->abilities().description);
  const DerivedDialect channels = derive(test_data() + "/chat_templates/channel_heads.jinja");
  EXPECT_EQ(block_after("For a template that writes channels") + "\n",
            describe_dialect(channels.found));
}

TEST_F(ChatDocs, TheWorkedExampleIsReadAsItSays) {
  const std::string answer = block_after("### Worked example");
  const ChatPrompt prompt = prompt_of(ToolChoice::kAuto);
  EXPECT_EQ(describe(read_answer(prompt.format, {{answer, false}})),
            "reasoning[] content[Let me look.] get_weather({\"city\": \"Bonn\"}) complete=1");
  std::string broken = answer;
  broken.replace(broken.find("\"Bonn\""), 6, "Bonn");
  EXPECT_EQ(
      describe(read_answer(prompt.format, {{broken, false}})),
      "reasoning[] content[Let me look.Bonn}}</tool_call>] get_weather({\"city\": ) complete=0");
}

TEST_F(ChatDocs, TheOpeningOfACallIsTheOneShown) {
  const std::string free = prompt_of(ToolChoice::kAuto).text;
  const std::string forced = prompt_of(ToolChoice::kRequired).text.substr(free.size());
  EXPECT_NE(page_.find("`" + forced + "`"), std::string::npos) << forced;
}

}  // namespace chat_docs_test
}  // namespace trireme
