// trireme chat, and chats of run --prompts, over clusters of the demo model.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "base/clock.h"
#include "tests/cluster/served_cluster.h"

namespace trireme {
namespace chat_verb_test {

using nlohmann::json;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

void write_file(const std::string& path, const std::string& text) { std::ofstream(path) << text; }

// `trireme chat` with these lines on standard input.
CommandResult chat(const std::vector<std::string>& flags, const std::string& lines) {
  TemporaryFolder folder;
  write_file(folder.path() + "/lines", lines);
  std::vector<std::string> arguments = {"chat"};
  arguments.insert(arguments.end(), flags.begin(), flags.end());
  const std::string shell = format_text("exec \"$0\" \"$@\" < {}/lines", folder.path());
  RunningTrireme running(arguments, {"sh", "-c", shell});
  return running.finish(60'000);
}

// The number of tokens of a chat, by tokenize --messages.
size_t num_tokens(const json& messages) {
  TemporaryFolder folder;
  write_file(folder.path() + "/m.jsonl", json{{"messages", messages}}.dump());
  const CommandResult result = run_trireme(
      {"tokenize", "--model", kDemo, "--messages", folder.path() + "/m.jsonl", "--json"});
  EXPECT_EQ(result.status, 0) << result.err;
  return result.status == 0 ? json_lines(result.out).at(0)["ids"].size() : 0;
}

json user(const std::string& text) { return {{"role", "user"}, {"content", text}}; }

TEST(Chat, ATurnHoldsTheWholeConversationAndCommandsChangeIt) {
  Served served({"-tp", "2"});
  TemporaryFolder folder;
  const std::string saved = folder.path() + "/saved.jsonl";
  const CommandResult result = chat({"--endpoint",
                                     served.endpoint(),
                                     "--json",
                                     "--max-tokens",
                                     "6",
                                     "--temperature",
                                     "0",
                                     "--system",
                                     "Be brief."},
                                    "A vector\n\nis\n/undo\nis not\n/system\n//slash\n/save " +
                                        saved + "\n/clear\nA vector\n/exit\nunread\n");
  ASSERT_EQ(result.status, 0) << result.err;
  const auto lines = json_lines(result.out);
  ASSERT_EQ(lines.size(), 5u) << result.out;
  json messages = {{{"role", "system"}, {"content", "Be brief."}}, user("A vector")};
  EXPECT_EQ(lines[0]["prompt_tokens"], num_tokens(messages));
  messages.push_back(lines[0]["message"]);
  messages.push_back(user("is"));
  EXPECT_EQ(lines[1]["prompt_tokens"], num_tokens(messages));
  messages.back() = user("is not");
  EXPECT_EQ(lines[2]["prompt_tokens"], num_tokens(messages));
  messages.push_back(lines[2]["message"]);
  messages.push_back(user("/slash"));
  messages.erase(0);
  EXPECT_EQ(lines[3]["prompt_tokens"], num_tokens(messages));
  EXPECT_EQ(lines[4]["prompt_tokens"], num_tokens(json::array({user("A vector")})));
  EXPECT_EQ(lines[4]["id"], "5");
  EXPECT_EQ(lines[0]["message"]["content"], lines[0]["text"]);

  messages.push_back(lines[3]["message"]);
  EXPECT_EQ(json::parse(read_file(saved))["messages"], messages);
  const CommandResult again = served.run({"--prompts", saved, "--json", "--max-tokens", "2"});
  EXPECT_EQ(again.status, 0) << again.err;
  EXPECT_EQ(json_lines(again.out).at(0)["prompt_tokens"], num_tokens(messages));
}

TEST(Chat, APrivateClusterAnswersInTextAndEndsWithTheInput) {
  const CommandResult result = chat({"--model", kDemo, "--max-tokens", "8", "--temperature", "0"},
                                    "A vector is\n/foo\n/save\n");
  EXPECT_EQ(result.status, 1) << "a command failed";
  EXPECT_NE(result.out, "");
  EXPECT_THAT(result.err,
              AllOf(HasSubstr("TRI-RUN-031: there is no command /foo"), HasSubstr("/save needs")));
  EXPECT_EQ(chat({"--model", kDemo}, "").status, 0);
}

TEST(Chat, ATurnThatIsRefusedIsForgottenAndTheConversationGoesOn) {
  Served served;
  std::string words;
  for (int i = 0; i < 1'200; ++i) words += "word ";
  const CommandResult result =
      chat({"--endpoint", served.endpoint(), "--json", "--max-tokens", "4"},
           words + "\nA \xFF\nA vector\n");
  EXPECT_EQ(result.status, 1);
  const auto lines = json_lines(result.out);
  ASSERT_EQ(lines.size(), 2u) << result.err;
  EXPECT_EQ(lines[0]["error"]["id"], "TRI-REQ-089");
  EXPECT_EQ(lines[1]["prompt_tokens"], num_tokens(json::array({user("A vector")})));
  EXPECT_THAT(result.err, AllOf(HasSubstr("TRI-REQ-089"), HasSubstr("TRI-RUN-040")));
}

TEST(Chat, CtrlCEndsTheAnswerAndTwiceTheProgram) {
  Served served;
  RunningTrireme running({"chat",
                          "--endpoint",
                          served.endpoint(),
                          "--json",
                          "--max-tokens",
                          "900",
                          "--ignore-eos",
                          "--n",
                          "1"},
                         {},
                         /*takes_lines=*/true);
  running.write_line("A vector");
  SteadyClock clock;
  const TimeUs deadline_us = clock.now_us() + 30'000'000;
  int64_t num_running = 0;
  while (num_running == 0 && clock.now_us() < deadline_us) {
    const CommandResult status = run_trireme({"status", "--endpoint", served.endpoint(), "--json"});
    ASSERT_EQ(status.status, 0) << status.err;
    num_running = json_lines(status.out).at(0)["running"].get<int64_t>();
  }
  ASSERT_EQ(num_running, 1);
  running.signal(SIGINT);
  const json cancelled = json::parse(running.wait_for("\"message\""));
  EXPECT_EQ(cancelled["finish_reason"], "cancelled");

  running.write_line("/save /dev/null");
  EXPECT_TRUE(running.wait_for_note("messages in /dev/null")) << "the chat goes on";
  running.signal(SIGINT);
  EXPECT_TRUE(running.wait_for_note("Ctrl-C again"));
  running.signal(SIGINT);
  EXPECT_EQ(running.finish(15'000).status, 130);
}

TEST(Chat, SigtermEndsItAndThePrivateClusterAtOnce) {
  RunningTrireme running({"chat", "--model", kDemo, "--json"}, {}, /*takes_lines=*/true);
  running.write_line("A vector");
  EXPECT_NE(running.wait_for("\"message\""), "");
  const auto ranks = running.descendants("trireme-worker");
  EXPECT_EQ(ranks.size(), 1u);
  running.signal(SIGTERM);
  EXPECT_EQ(running.finish(15'000).status, 130);
  for (const pid_t rank : ranks) EXPECT_FALSE(is_running(rank));
}

TEST(Chat, WrongInputStartsNothing) {
  TemporaryFolder folder;
  const std::string broken = folder.path() + "/broken.jinja";
  write_file(broken, "line one\n{% if %}");
  const std::string no_tokenizer = TRIREME_TEST_DATA "/golden/models/llama-gqa";
  const struct {
    std::vector<std::string> flags;
    const char* id;
  } cases[] = {
      {{}, "TRI-RUN-004"},
      {{"--model", kDemo, "--endpoint", "tcp://127.0.0.1:1"}, "TRI-RUN-004"},
      {{"--endpoint", "tcp://127.0.0.1:1", "--chat-template", broken}, "TRI-RUN-004"},
      {{"--model", kDemo, "--reasoning", "maybe"}, "TRI-ARGS-003"},
      {{"--model", kDemo, "--n", "2"}, "TRI-RUN-030"},
      {{"--model", kDemo, "--system", "\xFF"}, "TRI-RUN-040"},
      {{"--model", kDemo, "--top-p", "2"}, "TRI-REQ-001"},
      {{"--model", kDemo, "--chat-template", "/no/such/file"}, "TRI-UP-019"},
      {{"--model", kDemo, "--chat-template", broken}, "TRI-CHAT-002"},
      {{"--model", no_tokenizer}, "TRI-CHAT-001"},
      {{"--model", kDemo, "words"}, "TRI-ARGS-022"},
  };
  for (const auto& one : cases) {
    const CommandResult result = chat(one.flags, "A vector\n");
    EXPECT_EQ(result.status, 2) << join(one.flags, " ");
    EXPECT_THAT(result.err, StartsWith(one.id)) << join(one.flags, " ");
    EXPECT_EQ(result.out, "");
  }
}

TEST(Chat, AClusterWithoutAUsableTemplateSaysSoAndStillCompletes) {
  TemporaryFolder folder;
  const std::string broken = folder.path() + "/broken.jinja";
  write_file(broken, "line one\n{% if %}");
  Served served({"--chat-template", broken});
  EXPECT_TRUE(served.running().wait_for_note("chats are refused")) << served.running().text();
  EXPECT_EQ(served.run({"--prompt", "A vector", "--max-tokens", "2"}).status, 0);
  const CommandResult refused = chat({"--endpoint", served.endpoint()}, "Hi\n");
  EXPECT_EQ(refused.status, 2);
  EXPECT_THAT(refused.err, AllOf(StartsWith("TRI-CHAT-00"), HasSubstr("line 2")));
}

TEST(Chat, ATemplateOfOnesOwnReachesTheCoordinator) {
  TemporaryFolder folder;
  const std::string own = folder.path() + "/own.jinja";
  write_file(own,
             "{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}"
             "{% if add_generation_prompt %}assistant: {% endif %}");
  const CommandResult result =
      chat({"--model", kDemo, "--chat-template", own, "--json", "--max-tokens", "2"}, "A vector\n");
  ASSERT_EQ(result.status, 0) << result.err;
  const CommandResult ids = run_trireme(
      {"tokenize", "--model", kDemo, "--text", "user: A vector\nassistant: ", "--json"});
  EXPECT_EQ(json_lines(result.out).at(0)["prompt_tokens"], json_lines(ids.out).at(0)["ids"].size());
}

TEST(RunChats, LinesWithMessagesAndToolsAreAnsweredWithAMessage) {
  TemporaryFolder folder;
  const std::string path = folder.path() + "/prompts.jsonl";
  const json tools = {{{"type", "function"},
                       {"function",
                        {{"name", "row"},
                         {"description", "Rows."},
                         {"parameters", {{"type", "object"}, {"properties", json::object()}}}}}}};
  json line = {
      {"messages", json::array({user("A vector")})}, {"max_tokens", 6}, {"temperature", 0}};
  std::string lines = line.dump() + "\n";
  line["tools"] = tools;
  line["tool_choice"] = "none";
  lines += line.dump() + "\n";
  line["tool_choice"] = {{"type", "function"}, {"function", {{"name", "row"}}}};
  lines += line.dump() + "\n";
  lines += json{{"prompt", "A vector"}, {"max_tokens", 2}}.dump() + "\n";
  write_file(path, lines);
  const CommandResult result = run_trireme({"run", "--model", kDemo, "--prompts", path, "--json"});
  ASSERT_EQ(result.status, 0) << result.err;
  const auto answers = json_lines(result.out);
  ASSERT_EQ(answers.size(), 4u);
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(answers[i]["message"]["role"], "assistant") << answers[i];
  }
  EXPECT_EQ(answers[0]["message"]["content"], answers[0]["text"]);
  EXPECT_EQ(answers[0]["prompt_tokens"], answers[1]["prompt_tokens"])
      << "with tool_choice none the template sees no tools";
  EXPECT_GT(answers[2]["prompt_tokens"], answers[1]["prompt_tokens"]);
  EXPECT_FALSE(answers[3].contains("message"));
  Served served;
  const CommandResult served_result = served.run({"--prompts", path, "--json"});
  ASSERT_EQ(served_result.status, 0) << served_result.err;
  const auto same = json_lines(served_result.out);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(answers[i]["token_ids"], same.at(i)["token_ids"]);
}

TEST(RunChats, AChatThatTheTemplateRefusesIsNamedBeforeTheLaunch) {
  TemporaryFolder folder;
  const std::string path = folder.path() + "/prompts.jsonl";
  write_file(path,
             R"({"prompt": "a"})"
             "\n"
             R"({"messages": [{"role": 1}]})"
             "\n");
  const CommandResult result = run_trireme({"run", "--model", kDemo, "--prompts", path});
  EXPECT_EQ(result.status, 2);
  EXPECT_THAT(result.err, AllOf(StartsWith("TRI-CHAT-"), HasSubstr("line 2: ")));
}

}  // namespace chat_verb_test
}  // namespace trireme
