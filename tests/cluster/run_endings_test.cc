// How `trireme run` ends when something goes wrong beside it: a neighbour in its batch, its reader,
// a signal, its output; and a model's folder whose name is not UTF-8.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "base/clock.h"
#include "clients/cpp/client.h"
#include "tests/cluster/served_cluster.h"

namespace trireme {
namespace run_endings_test {

namespace fs = std::filesystem;
using nlohmann::json;
using testing::AllOf;
using testing::HasSubstr;
using testing::StartsWith;
using Milliseconds = Client::Milliseconds;

constexpr TimeUs kDeadlineUs = 20'000'000;

// Runs the program within a shell's line, in which "$@" is its command.
CommandResult run_in_shell(const std::string& line, const std::vector<std::string>& arguments) {
  RunningTrireme running(arguments, {"bash", "-c", line, "_"});
  return running.finish(60'000);
}

// Waits until so many requests run in the cluster.
bool wait_until_running(Client& client, int64_t count) {
  SteadyClock clock;
  const TimeUs deadline_us = clock.now_us() + kDeadlineUs;
  while (clock.now_us() < deadline_us) {
    const auto status = client.status(Milliseconds(5'000));
    if (!status.ok()) return false;
    if (status->running == count && status->waiting == 0) return true;
  }
  return false;
}

std::unique_ptr<Client> client_of(const Served& served) {
  auto client = Client::connect(served.endpoint(), Milliseconds(5'000));
  EXPECT_TRUE(client.ok()) << message_of(client.status());
  return client.ok() ? std::move(*client) : nullptr;
}

class RunEndings : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    served_ = std::make_unique<Served>(std::vector<std::string>{"--allow-probes"});
  }
  static void TearDownTestSuite() { served_.reset(); }
  static std::vector<std::string> long_run(const std::vector<std::string>& more) {
    std::vector<std::string> arguments = {"run",
                                          "--endpoint",
                                          served_->endpoint(),
                                          "--prompt",
                                          "A vector is",
                                          "--max-tokens",
                                          "1000",
                                          "--n",
                                          "16",
                                          "--ignore-eos"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return arguments;
  }

  static std::unique_ptr<Served> served_;
};
std::unique_ptr<Served> RunEndings::served_;

TEST_F(RunEndings, ABadLineNeverHarmsItsNeighbours) {
  TemporaryFolder folder;
  const std::string path = folder.path() + "/prompts.jsonl";
  std::string words;
  for (int i = 0; i < 1200; ++i) words += "word ";
  std::ofstream(path)
      << json{{"id", "a"}, {"prompt", "A vector is"}, {"max_tokens", 300}, {"ignore_eos", true}}
      << "\n\n"
      << json{{"id", "b"}, {"prompt", std::string(18'000'000, 'x')}, {"max_tokens", 5}} << "\n"
      << json{{"id", "c"}, {"prompt", words}} << "\n"
      << json{{"id", "d"}, {"token_ids", {1, 99'999'999}}} << "\n"
      << json{{"id", "e"}, {"prompt", "A slice is"}, {"max_tokens", 5}, {"ignore_eos", true}}
      << "\n";
  const CommandResult result = served_->run({"--prompts", path, "--json"});
  EXPECT_EQ(result.status, 1) << result.err;
  const auto lines = json_lines(result.out);
  ASSERT_EQ(lines.size(), 5u) << result.err;
  EXPECT_EQ(lines[0]["token_ids"].size(), 300u);
  EXPECT_EQ(lines[4]["token_ids"].size(), 5u);
  EXPECT_EQ(lines[1]["error"]["id"], "TRI-NET-004");
  EXPECT_THAT(
      lines[1]["error"]["message"].get<std::string>(),
      AllOf(
          HasSubstr("prompts.jsonl line 3: "), HasSubstr("18000000 bytes"), HasSubstr("16.0 MiB")));
  EXPECT_EQ(lines[2]["error"]["id"], "TRI-REQ-089");
  EXPECT_THAT(lines[2]["error"]["message"].get<std::string>(), HasSubstr("line 4: "));
  EXPECT_EQ(lines[3]["error"]["id"], "TRI-REQ-087");
  for (const json& line : lines) EXPECT_GE(line["duration_ms"].get<double>(), 0);
}

TEST_F(RunEndings, AnInterruptedAnswerHasTheTimeThatWentBy) {
  const auto client = client_of(*served_);
  ASSERT_NE(client, nullptr);
  ASSERT_TRUE(wait_until_running(*client, 0));
  SteadyClock clock;
  const TimeUs start_us = clock.now_us();
  RunningTrireme running(long_run({"--json"}));
  ASSERT_TRUE(wait_until_running(*client, 16)) << running.text();
  running.signal(SIGINT);
  const CommandResult result = running.finish(15'000);
  const double elapsed_ms = static_cast<double>(clock.now_us() - start_us) * 1e-3;
  EXPECT_EQ(result.status, 130) << result.err;
  const auto lines = json_lines(result.out);
  ASSERT_EQ(lines.size(), 16u) << result.err;
  for (const json& line : lines) {
    EXPECT_EQ(line["error"]["id"], "TRI-UP-013");
    EXPECT_GT(line["duration_ms"].get<double>(), 0);
    EXPECT_LT(line["duration_ms"].get<double>(), elapsed_ms);
    const bool has_tokens = !line["token_ids"].empty();
    EXPECT_EQ(line["ttft_ms"].is_null(), !has_tokens);
    if (!has_tokens) continue;
    EXPECT_LE(line["ttft_ms"].get<double>(), line["duration_ms"].get<double>());
  }
}

TEST_F(RunEndings, WithoutAReaderTheRequestsAreCancelled) {
  const auto client = client_of(*served_);
  ASSERT_NE(client, nullptr);
  // With --json nothing would be written before the end: the reader is missed without a write.
  const CommandResult result =
      run_in_shell("\"$@\" | true; exit ${PIPESTATUS[0]}", long_run({"--json"}));
  EXPECT_EQ(result.status, 141) << result.err;
  EXPECT_EQ(result.err, "");
  EXPECT_TRUE(wait_until_running(*client, 0));
  const CommandResult bench = run_in_shell("\"$@\" | true; exit ${PIPESTATUS[0]}",
                                           {"bench",
                                            "serve",
                                            "--endpoint",
                                            served_->endpoint(),
                                            "--output-len",
                                            "800",
                                            "--requests",
                                            "64",
                                            "--concurrency",
                                            "16",
                                            "--json"});
  EXPECT_EQ(bench.status, 141) << bench.err;
}

TEST_F(RunEndings, AnOutputThatCannotBeWrittenIsAnError) {
  for (const char* line : {"\"$@\" >/dev/full", "\"$@\" >&-"}) {
    const CommandResult result =
        run_in_shell(line, {"run", "--endpoint", served_->endpoint(), "--prompt", "A vector is"});
    EXPECT_EQ(result.status, 1) << line;
    EXPECT_THAT(result.err, StartsWith("TRI-ARGS-024: the answer could not be written")) << line;
  }
}

TEST_F(RunEndings, AScoreAndAProbeMayBeAsLongAsTheModel) {
  const auto client = client_of(*served_);
  ASSERT_NE(client, nullptr);
  const auto models = client->models(Milliseconds(5'000));
  ASSERT_TRUE(models.ok());
  const int32_t longest = models->front().max_model_len;
  ASSERT_EQ(longest, 1024);
  const auto outcome = [&](door::Kind kind, int32_t length) -> std::string {
    door::Submit submit;
    submit.kind = kind;
    std::vector<TokenId> ids;
    for (int32_t i = 0; i < length; ++i) ids.push_back(10 + i % 500);
    submit.prompt = std::move(ids);
    submit.sampling.max_tokens = 1;
    if (kind == door::Kind::kProbe) submit.probes = {{length - 1, -1}};
    const auto tag = client->submit(std::move(submit));
    EXPECT_TRUE(tag.ok());
    SteadyClock clock;
    const TimeUs deadline_us = clock.now_us() + kDeadlineUs;
    size_t rows = 0;
    while (clock.now_us() < deadline_us) {
      const auto events = client->poll(Milliseconds(1'000));
      if (!events.ok()) return message_of(events.status());
      for (const ClientEvent& event : *events) {
        if (const auto* error = std::get_if<door::Error>(&event)) return error->error_id;
        if (const auto* scores = std::get_if<door::PromptLogprobs>(&event)) {
          rows += scores->entries.size();
        }
        if (const auto* values = std::get_if<door::ProbeValues>(&event)) {
          rows += values->offset == 0 ? 1 : 0;
        }
        const auto* finished = std::get_if<door::Finished>(&event);
        if (finished == nullptr) continue;
        if (finished->reason == door::FinishReason::kFailed) return finished->error_id;
        return format_text("{} rows", rows);
      }
    }
    return "no answer in time";
  };
  EXPECT_EQ(outcome(door::Kind::kScore, longest), format_text("{} rows", longest - 1));
  EXPECT_EQ(outcome(door::Kind::kProbe, longest), "1 rows");
  EXPECT_EQ(outcome(door::Kind::kScore, longest + 1), "TRI-REQ-089");
  EXPECT_EQ(outcome(door::Kind::kProbe, longest + 1), "TRI-REQ-089");
  EXPECT_EQ(outcome(door::Kind::kGenerate, longest), "TRI-REQ-089");
  EXPECT_EQ(outcome(door::Kind::kGenerate, longest - 1), "0 rows");
}

TEST(RunEndingsOfAPrivateCluster, ItEndsSoonAndInOrderWhenItsReaderLeaves) {
  TemporaryFolder folder;
  const std::string trace = folder.path() + "/trace.json";
  const CommandResult result = run_in_shell("\"$@\" 2>&1 | head -c 20; exit ${PIPESTATUS[0]}",
                                            {"run",
                                             "--model",
                                             kDemo,
                                             "--prompt",
                                             "A vector is",
                                             "--max-tokens",
                                             "900",
                                             "--ignore-eos",
                                             "--trace",
                                             trace});
  EXPECT_EQ(result.status, 141);
  EXPECT_LE(result.out.size(), 20u) << result.out;
  // The trace is written at the end of a cluster that is drained.
  const json written = json::parse(std::ifstream(trace));
  int64_t last_step = 0;
  for (const json& event : written["traceEvents"]) {
    if (event["ph"] == "X") last_step = std::max(last_step, event["args"]["step"].get<int64_t>());
  }
  EXPECT_GT(last_step, 0);
  EXPECT_LT(last_step, 800);
}

// Links to the files of the demo model in a folder whose name is not UTF-8.
std::string odd_model(const TemporaryFolder& folder) {
  const std::string path = folder.path() + "/m\xFF";
  fs::create_directory(path);
  for (const fs::directory_entry& file : fs::directory_iterator(kDemo)) {
    fs::create_symlink(file.path(), fs::path(path) / file.path().filename());
  }
  return path;
}

TEST(FolderOfAnyBytes, EveryVerbWorksAndShowsTheNameEscaped) {
  TemporaryFolder folder;
  const std::string model = odd_model(folder);
  const std::string log = folder.path() + "/log";
  Served served({"--model", model, "-tp", "2", "--log-file", log});
  const CommandResult run = served.run({"--prompt", "A vector is", "--max-tokens", "2", "--json"});
  EXPECT_EQ(run.status, 0) << run.err;
  const CommandResult status = run_trireme({"status", "--endpoint", served.endpoint(), "--json"});
  ASSERT_EQ(status.status, 0) << status.err;
  EXPECT_EQ(json_lines(status.out).at(0)["models"][0]["name"], "m\\xff");
  EXPECT_THAT(read_file(log), AllOf(HasSubstr("m\\xff"), testing::Not(HasSubstr("\xFF"))));

  const CommandResult show = run_trireme({"models", "show", model, "--json"});
  ASSERT_EQ(show.status, 0) << show.err;
  EXPECT_THAT(json_lines(show.out).at(0)["model"].get<std::string>(), HasSubstr("/m\\xff"));
  EXPECT_THAT(run_trireme({"models", "ls", folder.path()}).out, HasSubstr("/m\\xff"));
  const CommandResult plan = run_trireme({"plan", "--model", model, "-tp", "2"});
  EXPECT_EQ(plan.status, 0) << plan.err;
  EXPECT_THAT(plan.out, HasSubstr("/m\\xff'"));  // $'...': the shell reads it
  const CommandResult json_plan = run_trireme({"plan", "--model", model, "-tp", "2", "--json"});
  EXPECT_EQ(json_lines(json_plan.out).size(), 1u) << json_plan.err;
  const CommandResult missing = run_trireme({"run", "--model", model + "x", "--prompt", "a"});
  EXPECT_EQ(missing.status, 2);
  EXPECT_THAT(missing.err, AllOf(StartsWith("TRI-CONF-001: "), HasSubstr("m\\xffx")));
  const CommandResult verify = run_trireme({"verify", "--model", model, "--json"});
  EXPECT_EQ(verify.status, 0) << verify.err;
}

}  // namespace run_endings_test
}  // namespace trireme
