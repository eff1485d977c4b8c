// tokenize --messages and its workbench, in process.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <memory>
#include <nlohmann/json.hpp>

#include "base/text.h"
#include "clients/cli/verbs.h"

namespace trireme {
namespace tokenize_chat_test {

using nlohmann::json;
using testing::AllOf;
using testing::HasSubstr;
using testing::StartsWith;

constexpr char kDemo[] = TRIREME_SOURCE_DIR "/models/demo";

class TokenizeChat : public testing::Test {
 protected:
  using File = std::unique_ptr<std::FILE, int (*)(std::FILE*)>;

  TokenizeChat() {
    folder_ = testing::TempDir() + "/tokenize_chat";
    std::filesystem::create_directories(folder_);
  }
  std::string file(const std::string& name, const std::string& content) const {
    std::ofstream(folder_ + "/" + name) << content;
    return folder_ + "/" + name;
  }
  int run(const Arguments& arguments) {
    const File out(std::tmpfile(), std::fclose);
    const File err(std::tmpfile(), std::fclose);
    Terminal terminal(out.get(), err.get());
    const int status = run_command_line(terminal, arguments);
    out_ = content(out.get());
    err_ = content(err.get());
    return status;
  }
  // The answers of the workbench.
  std::vector<json> render(const std::string& source, const std::string& lines, int status) {
    EXPECT_EQ(run({"tokenize",
                   "--raw",
                   "--show-template",
                   "--chat-template",
                   file("t.jinja", source),
                   "--messages",
                   file("m.jsonl", lines)}),
              status)
        << err_;
    std::vector<json> answers;
    for (const std::string& line : split(out_, '\n')) {
      if (!line.empty()) answers.push_back(json::parse(line));
    }
    return answers;
  }
  static std::string content(std::FILE* file) {
    std::rewind(file);
    std::string text(1 << 18, '\0');
    text.resize(std::fread(text.data(), 1, text.size(), file));
    return text;
  }

  std::string folder_;
  std::string out_;
  std::string err_;
};

TEST_F(TokenizeChat, TheWorkbenchRendersEachLineAsWritten) {
  const auto answers = render(
      "{{ bos_token }}{% for m in messages %}[{{ m.role }}:{{ m.content }}]{% endfor %}"
      "{% if add_generation_prompt %}>{% endif %}{{ tools is none }}{{ documents }}",
      R"({"messages": [{"role": "x", "content": null}], "variables": {"bos_token": "<s>"}})"
      "\n"
      R"({"messages": [], "add_generation_prompt": true, "tools": [1], "documents": [2.50]})"
      "\n",
      0);
  ASSERT_EQ(answers.size(), 2u);
  EXPECT_EQ(answers[0].dump(), R"({"text":"<s>[x:None]TrueNone"})");
  EXPECT_EQ(answers[1].dump(), R"({"text":">False[2.5]"})");
}

TEST_F(TokenizeChat, TheWorkbenchTellsTheTypeAndTheLineOfAnError) {
  const auto answers =
      render("{% if messages %}\n{{ raise_exception('No ' + messages[0]) }}{% endif %}",
             "{\"messages\": [\"oars\"]}\n{\"messages\": []}\n",
             1);
  ASSERT_EQ(answers.size(), 2u);
  EXPECT_EQ(answers[0]["error"]["type"], "TemplateError");
  EXPECT_EQ(answers[0]["error"]["message"], "No oars");
  EXPECT_EQ(answers[1]["text"], "");
  const auto broken = render("\n{% if %}", "{\"messages\": []}\n{\"messages\": []}\n", 1);
  ASSERT_EQ(broken.size(), 2u) << "one answer a line";
  EXPECT_EQ(broken[1]["error"]["type"], "TemplateSyntaxError");
  EXPECT_EQ(broken[1]["error"]["line"], 2);
}

TEST_F(TokenizeChat, TheWorkbenchTakesItsTimeFromTheLine) {
  const auto answers = render("{{ strftime_now('%Y-%m-%d %H:%M') }}",
                              R"({"messages": [], "now": "2024-07-05T09:04:07"})",
                              0);
  EXPECT_EQ(answers.at(0)["text"], "2024-07-05 09:04");
  const auto today = render("{{ strftime_now('%Y') }}", R"({"messages": []})", 0);
  EXPECT_GE(today.at(0)["text"].get<std::string>(), "2025");
}

TEST_F(TokenizeChat, AFieldThatTheTemplateDoesNotSeeIsWarnedOfOnce) {
  render(
      "x", "{\"messages\": [], \"bos_token\": \"b\"}\n{\"messages\": [], \"bos_token\": \"b\"}", 0);
  EXPECT_THAT(err_, AllOf(HasSubstr("\"bos_token\""), HasSubstr("\"variables\"")));
  EXPECT_EQ(err_.find("bos_token"), err_.rfind("bos_token"));
}

TEST_F(TokenizeChat, MalformedLinesOfTheWorkbenchAreNamed) {
  for (const char* line : {"[]",
                           "{}",
                           "{\"messages\": {}}",
                           "{\"messages\": [], \"tools\": 1}",
                           "{\"messages\": [], \"variables\": []}",
                           "{\"messages\": [], \"add_generation_prompt\": 1}",
                           "{\"messages\": [], \"now\": \"today\"}",
                           "{\"messages\": [",
                           "{\"messages\": [\"\xFF\"]}"}) {
    render("x", std::string("{\"messages\": []}\n") + line, 2);
    EXPECT_THAT(err_, HasSubstr("line 2: ")) << line;
    EXPECT_THAT(err_, testing::AnyOf(StartsWith("TRI-RUN-014"), StartsWith("TRI-RUN-040"))) << line;
  }
}

TEST_F(TokenizeChat, FlagsThatDoNotGoTogetherAreRefused) {
  const std::string messages = file("m.jsonl", "{\"messages\": []}");
  const std::string jinja = file("t.jinja", "x");
  for (const Arguments& more :
       {Arguments{"--raw"},
        {"--show-template", "--model", kDemo},
        {"--messages", messages},
        {"--messages", messages, "--raw"},
        {"--messages", messages, "--raw", "--chat-template", jinja, "--model", kDemo},
        {"--messages", messages, "--model", kDemo, "--text", "x"},
        {"--messages", messages, "--model", kDemo, "--special"}}) {
    Arguments arguments = {"tokenize"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    EXPECT_EQ(run(arguments), 2) << join(more, " ");
    EXPECT_THAT(err_, StartsWith("TRI-RUN-015")) << join(more, " ");
  }
  EXPECT_EQ(run({"tokenize", "--raw", "--chat-template", "/no/file", "--messages", messages}), 2);
  EXPECT_THAT(err_, StartsWith("TRI-RUN-001"));
}

TEST_F(TokenizeChat, TheIdsOfAChatAreThoseOfItsTextWithMarkersAsTokens) {
  const std::string messages =
      file("m.jsonl", R"({"id": 1, "messages": [{"role": "user", "content": "A vector"}]})");
  ASSERT_EQ(run({"tokenize", "--model", kDemo, "--messages", messages, "--show-template"}), 0)
      << err_;
  const std::string text = out_.substr(0, out_.size() - 1);
  EXPECT_THAT(text, HasSubstr("A vector"));
  ASSERT_EQ(
      run({"tokenize", "--model", kDemo, "--messages", messages, "--show-template", "--json"}), 0);
  EXPECT_EQ(json::parse(out_)["text"], text);
  ASSERT_EQ(run({"tokenize", "--model", kDemo, "--messages", messages, "--json"}), 0) << err_;
  const json ids = json::parse(out_);
  ASSERT_EQ(run({"tokenize", "--model", kDemo, "--text", text, "--json"}), 0) << err_;
  EXPECT_EQ(json::parse(out_)["ids"], ids["ids"]);
  EXPECT_EQ(ids["tokens"].size(), ids["ids"].size());
  ASSERT_EQ(run({"tokenize", "--model", kDemo, "--messages", messages}), 0);
  EXPECT_EQ(json::parse(out_), ids) << "lines are JSON anyway";
  ASSERT_EQ(run({"tokenize", "--model", kDemo, "--messages", messages, "--tokens"}), 0);
  EXPECT_THAT(out_, HasSubstr("vector"));
  EXPECT_THAT(out_, StartsWith(format_text("{},", ids["ids"][0].get<int>())));
}

TEST_F(TokenizeChat, AnotherTemplateTakesThePlaceOfTheModels) {
  const std::string messages =
      file("m.jsonl", R"({"messages": [{"role": "user", "content": "Z"}]})");
  const std::string jinja =
      file("own.jinja", "{% for m in messages %}<{{ m.role }}>{{ m.content }}{% endfor %}");
  EXPECT_EQ(run({"tokenize",
                 "--model",
                 kDemo,
                 "--messages",
                 messages,
                 "--chat-template",
                 jinja,
                 "--show-template"}),
            0)
      << err_;
  EXPECT_EQ(out_, "<user>Z\n");
}

TEST_F(TokenizeChat, AMalformedChatIsNamedWithItsLine) {
  for (const char* line : {"{}",
                           "{\"messages\": 1}",
                           "{\"messages\": [], \"toolz\": []}",
                           "{\"messages\": [1]}",
                           "{\"messages\": [{\"content\": \"x\"}]}"}) {
    EXPECT_EQ(run({"tokenize", "--model", kDemo, "--messages", file("m.jsonl", line)}), 2) << line;
    EXPECT_THAT(err_, AllOf(StartsWith("TRI-"), HasSubstr("line 1: "))) << line;
  }
}

}  // namespace tokenize_chat_test
}  // namespace trireme
