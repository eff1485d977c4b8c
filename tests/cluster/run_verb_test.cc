// `trireme run` with private and running clusters: answers, refusals, interrupts, pipelining.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "tests/cluster/served_cluster.h"

namespace trireme {
namespace run_verb_test {

using nlohmann::json;
using testing::AllOf;
using testing::HasSubstr;
using testing::StartsWith;

TEST(Run, AnswersComeInTheOrderOfThePromptsWithAllTheirFields) {
  TemporaryFolder folder;
  const std::string path = folder.path() + "/prompts.jsonl";
  std::ofstream(path) << R"({"id": "long", "prompt": "A vector is", "max_tokens": 60, "seed": 5,)"
                      << R"( "ignore_eos": true, "n": 2, "logprobs": 3})"
                      << "\n"
                      << R"({"token_ids": [1, 300, 400], "max_tokens": 2, "temperature": 0})"
                      << "\n"
                      << R"({"id": "stop", "prompt": "let mut v = Vec::new();", "stop": [";"],)"
                      << R"( "temperature": 0, "max_tokens": 64, "prompt_logprobs": 1})"
                      << "\n";
  const CommandResult result =
      run_trireme({"run", "--model", kDemo, "--prompts", path, "--json", "-tp", "2"});
  ASSERT_EQ(result.status, 0) << result.err;
  const auto lines = json_lines(result.out);
  ASSERT_EQ(lines.size(), 4u) << result.out;
  EXPECT_EQ(lines[0]["id"], "long");
  EXPECT_EQ(lines[0]["index"], 0);
  EXPECT_EQ(lines[1]["index"], 1);
  EXPECT_NE(lines[0]["token_ids"], lines[1]["token_ids"]);
  EXPECT_EQ(lines[0]["token_ids"].size(), 60u);
  EXPECT_EQ(lines[0]["finish_reason"], "length");
  EXPECT_EQ(lines[0]["seed"], 5);
  ASSERT_EQ(lines[0]["logprobs"].size(), 60u);
  EXPECT_EQ(lines[0]["logprobs"][0]["top"].size(), 3u);
  EXPECT_EQ(lines[0]["logprobs"][7]["token_id"], lines[0]["token_ids"][7]);
  EXPECT_EQ(lines[2]["id"], "2");
  EXPECT_EQ(lines[2]["prompt_tokens"], 3);
  EXPECT_GT(lines[2]["ttft_ms"].get<double>(), 0);
  EXPECT_GE(lines[2]["duration_ms"], lines[2]["ttft_ms"]);
  EXPECT_EQ(lines[3]["finish_reason"], "stop");
  EXPECT_EQ(lines[3]["stop_reason"], ";");
  EXPECT_EQ(lines[3]["text"].get<std::string>().find(';'), std::string::npos);
  EXPECT_TRUE(lines[3]["prompt_logprobs"][0].is_null());
  EXPECT_EQ(lines[3]["prompt_logprobs"].size(), lines[3]["prompt_tokens"].get<size_t>());
  for (const json& line : lines) EXPECT_TRUE(line.contains("cached_tokens")) << line;
}

TEST(Run, APrivateClusterTakesEveryShapeFlagAndKeepsAFolderThatItWasGiven) {
  TemporaryFolder folder;
  const std::string state = folder.path() + "/state";
  const CommandResult result = run_trireme({"run",
                                            "--model",
                                            kDemo,
                                            "--groups",
                                            "2",
                                            "--state",
                                            state,
                                            "--port",
                                            "0",
                                            "--served-model-name",
                                            "mine",
                                            "--prompt",
                                            "A vector is",
                                            "--verbose",
                                            "--max-tokens",
                                            "2"});
  EXPECT_EQ(result.status, 0) << result.err;
  EXPECT_THAT(result.err, AllOf(HasSubstr("group 0 |"), HasSubstr("group 1 |")));
  EXPECT_TRUE(std::filesystem::is_directory(state));
}

TEST(Run, ALengthThatIsLoweredToWhatFitsIsReported) {
  const CommandResult result = run_trireme(
      {"run", "--model", kDemo, "--kv-memory", "512KiB", "--prompt", "x", "--max-tokens", "1"});
  EXPECT_EQ(result.status, 0) << result.err;
  EXPECT_THAT(result.err, HasSubstr("sequences up to 64 tokens, lowered from 1024"));
}

TEST(Run, TheSameSeedGivesTheSameAnswerInAnyClusterAndBatch) {
  const std::vector<std::string> ask = {
      "--json", "--prompt", "A vector is", "--seed", "11", "--max-tokens", "40", "--ignore-eos"};
  std::vector<std::string> alone = {"run", "--model", kDemo};
  alone.insert(alone.end(), ask.begin(), ask.end());
  const CommandResult first = run_trireme(alone);
  ASSERT_EQ(first.status, 0) << first.err;
  Served served({"-tp", "2", "-pp", "2", "--groups", "2"});
  RunningTrireme other_requests({"run",
                                 "--endpoint",
                                 served.endpoint(),
                                 "--prompt",
                                 "Another",
                                 "--n",
                                 "8",
                                 "--max-tokens",
                                 "400",
                                 "--ignore-eos",
                                 "--json"});
  const CommandResult second = served.run(ask);
  ASSERT_EQ(second.status, 0) << second.err;
  EXPECT_EQ(json_lines(first.out)[0]["token_ids"], json_lines(second.out)[0]["token_ids"]);
  EXPECT_EQ(json_lines(first.out)[0]["text"], json_lines(second.out)[0]["text"]);
  alone.insert(alone.end(), {"--groups", "2", "--threads", "1"});
  const CommandResult third = run_trireme(alone);
  ASSERT_EQ(third.status, 0) << third.err;
  EXPECT_EQ(json_lines(first.out)[0]["token_ids"], json_lines(third.out)[0]["token_ids"]);
}

TEST(Run, ARequestThatARunningClusterRefusesEndsAloneWithExitOne) {
  Served served;
  TemporaryFolder folder;
  const std::string path = folder.path() + "/prompts.jsonl";
  std::string words;
  for (int i = 0; i < 1200; ++i) words += "word ";
  std::ofstream(path) << json{{"prompt", words}}.dump() << "\n"
                      << json{{"prompt", "A vector"}, {"max_tokens", 3}}.dump() << "\n";
  const CommandResult result = served.run({"--prompts", path, "--json"});
  EXPECT_EQ(result.status, 1) << result.err;
  const auto lines = json_lines(result.out);
  ASSERT_EQ(lines.size(), 2u);
  EXPECT_EQ(lines[0]["finish_reason"], "error");
  EXPECT_EQ(lines[0]["error"]["id"], "TRI-REQ-089");
  EXPECT_EQ(lines[1]["finish_reason"], "length");
}

TEST(Run, WithoutACoordinatorAtTheEndpointTheExitStatusIsThree) {
  const CommandResult result =
      run_trireme({"run", "--endpoint", "tcp://127.0.0.1:1", "--prompt", "x"});
  EXPECT_EQ(result.status, 3);
  EXPECT_THAT(result.err, StartsWith("TRI-NET-032: "));
  EXPECT_LT(result.seconds, 15);
}

TEST(Run, AnInterruptEndsItWith130AndLeavesNothing) {
  RunningTrireme running({"run",
                          "--model",
                          kDemo,
                          "--prompt",
                          "x",
                          "--n",
                          "16",
                          "--max-tokens",
                          "1000",
                          "--ignore-eos"});
  const auto ranks = running.wait_for_descendants("trireme-worker", 1);
  ASSERT_EQ(ranks.size(), 1u);
  running.signal(SIGINT);
  EXPECT_EQ(running.finish(15'000).status, 130);
  EXPECT_FALSE(is_running(ranks[0]));
}

// Spans of this name in the stage's rows of a trace, by step, as [begin, end) in microseconds.
std::map<int64_t, std::pair<double, double>> spans(const json& trace,
                                                   int stage,
                                                   const std::string& name) {
  std::set<int> rows;
  const std::string words = format_text("(stage {})", stage);
  for (const json& event : trace["traceEvents"]) {
    if (event["ph"] != "M") continue;
    if (event["args"]["name"].get<std::string>().find(words) == std::string::npos) continue;
    rows.insert(event["pid"].get<int>());
  }
  std::map<int64_t, std::pair<double, double>> found;
  for (const json& event : trace["traceEvents"]) {
    if (event["ph"] != "X" || event["name"] != name || !rows.contains(event["pid"])) continue;
    const auto begin = event["ts"].get<double>();
    found[event["args"]["step"].get<int64_t>()] = {begin, begin + event["dur"].get<double>()};
  }
  return found;
}

// The share of steps whose successor stage 0 begins before stage 1 has ended them.
double pipelined_share(const std::string& trace_path) {
  const json trace = json::parse(std::ifstream(trace_path));
  const auto first = spans(trace, 0, "layers");
  const auto second = spans(trace, 1, "head and draw");
  double pipelined = 0;
  for (const auto& [step, span] : second) {
    const auto next = first.find(step + 1);
    if (next != first.end() && next->second.first < span.second) ++pipelined;
  }
  EXPECT_FALSE(second.empty()) << trace_path;
  return pipelined / std::max<double>(static_cast<double>(second.size()), 1);
}

TEST(Run, StagesOverlapWithSeveralRequestsAndAlternateWithOne) {
  TemporaryFolder folder;
  const auto trace_of = [&](int requests) {
    const std::string prompts = format_text("{}/{}.jsonl", folder.path(), requests);
    std::ofstream file(prompts);
    for (int i = 0; i < requests; ++i) {
      file << R"({"prompt": "A vector is", "max_tokens": 100, "ignore_eos": true})"
           << "\n";
    }
    file.close();
    const std::string trace = format_text("{}/{}.json", folder.path(), requests);
    const CommandResult result = run_trireme({"run",
                                              "--model",
                                              kDemo,
                                              "-pp",
                                              "2",
                                              "--threads",
                                              "1",
                                              "--prompts",
                                              prompts,
                                              "--trace",
                                              trace,
                                              "--json"});
    EXPECT_EQ(result.status, 0) << result.err;
    return trace;
  };
  EXPECT_GT(pipelined_share(trace_of(4)), 0.1);
  // The token that tests the new group may still be on its way.
  EXPECT_LT(pipelined_share(trace_of(1)), 1.5 / 100);
}

}  // namespace run_verb_test
}  // namespace trireme
