// The verbs with real clusters: up, run and verify, and every way in which a cluster can fail to
// come or can be lost.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <zmq.hpp>

#include "base/text.h"
#include "tests/cluster/trireme_command.h"

namespace trireme {
namespace {

using nlohmann::json;
using testing::AllOf;
using testing::HasSubstr;
using testing::StartsWith;

const std::string kDemo = TRIREME_SOURCE_DIR "/models/demo";

std::vector<json> json_lines(const std::string& text) {
  std::vector<json> lines;
  for (const std::string& line : split(text, '\n')) {
    if (!line.empty()) lines.push_back(json::parse(line));
  }
  return lines;
}

// `up` on a free port, ready.
class Served {
 public:
  explicit Served(std::vector<std::string> more = {})
      : running_(arguments(folder_.path(), std::move(more))) {
    const std::string line = running_.wait_for("\"ready\"");
    EXPECT_NE(line, "") << running_.text();
    if (!line.empty()) endpoint_ = json::parse(line)["endpoint"];
  }
  const std::string& endpoint() const { return endpoint_; }
  RunningTrireme& running() { return running_; }

  CommandResult run(std::vector<std::string> more) const {
    std::vector<std::string> arguments = {"run", "--endpoint", endpoint_};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return run_trireme(arguments);
  }

 private:
  static std::vector<std::string> arguments(const std::string& state,
                                            std::vector<std::string> more) {
    std::vector<std::string> all = {
        "up", "--model", kDemo, "--port", "0", "--state", state, "--json"};
    all.insert(all.end(), more.begin(), more.end());
    return all;
  }

  TemporaryFolder folder_;
  RunningTrireme running_;
  std::string endpoint_;
};

TEST(Up, AnswersUntilOneInterruptDrainsIt) {
  Served served({"-tp", "2", "-pp", "2"});
  const CommandResult answer =
      served.run({"--prompt", "A vector is", "--temperature", "0", "--max-tokens", "8"});
  EXPECT_EQ(answer.status, 0) << answer.err;
  EXPECT_NE(answer.out, "");
  EXPECT_THAT(answer.err, HasSubstr("tokens/s"));

  RunningTrireme asking({"run",
                         "--endpoint",
                         served.endpoint(),
                         "--prompt",
                         "A vector is",
                         "--json",
                         "--max-tokens",
                         "600",
                         "--ignore-eos"});
  const auto ranks = served.running().descendants("trireme-worker");
  EXPECT_EQ(ranks.size(), 4u);
  const CommandResult probe = served.run({"--prompt", "x", "--max-tokens", "1"});
  EXPECT_EQ(probe.status, 0) << probe.err;
  served.running().signal(SIGINT);
  const CommandResult last = asking.finish();
  EXPECT_EQ(last.status, 0) << last.err;  // what ran was finished
  ASSERT_EQ(json_lines(last.out).size(), 1u) << last.out;
  EXPECT_EQ(json_lines(last.out)[0]["token_ids"].size(), 600u);
  const CommandResult end = served.running().finish();
  EXPECT_EQ(end.status, 0) << end.err;
  for (const pid_t pid : ranks) EXPECT_FALSE(is_running(pid)) << "rank " << pid << " is left";
}

TEST(Status, CountsWhatTheClusterDid) {
  Served served({"-tp", "2"});
  ASSERT_EQ(served.run({"--prompt", "A vector is", "--max-tokens", "5", "--ignore-eos"}).status, 0);
  const CommandResult result = run_trireme({"status", "--endpoint", served.endpoint(), "--json"});
  ASSERT_EQ(result.status, 0) << result.err;
  const json status = json::parse(result.out);
  EXPECT_EQ(status["finished"], 1);
  EXPECT_EQ(status["output_tokens"], 5);
  EXPECT_EQ(status["models"][0]["ready_groups"], 1);
  ASSERT_EQ(status["groups"][0]["ranks"].size(), 2u);
  EXPECT_EQ(status["groups"][0]["state"], "ready");
  EXPECT_GT(status["groups"][0]["ranks"][1]["pid"], 1);
  EXPECT_EQ(run_trireme({"status", "--endpoint", "tcp://127.0.0.1:1"}).status, 3);
}

TEST(Doctor, FindsWhatThisMachineHasAndAHostThatIsNotThere) {
  const CommandResult here = run_trireme({"doctor", "--json"});
  EXPECT_EQ(here.status, 0) << here.out;
  EXPECT_THAT(here.out, AllOf(HasSubstr("Open MPI"), HasSubstr("trireme-worker")));
  TemporaryFolder folder;
  std::ofstream(folder.path() + "/hosts") << "no-such-host.invalid slots=1\n";
  const CommandResult there = run_trireme({"doctor", "--hostfile", folder.path() + "/hosts"});
  EXPECT_EQ(there.status, 1);
  EXPECT_THAT(there.out, AllOf(HasSubstr("no-such-host.invalid"), HasSubstr("does not resolve")));
}

TEST(Up, TheSecondInterruptStopsItNow) {
  Served served;
  RunningTrireme asking({"run",
                         "--endpoint",
                         served.endpoint(),
                         "--prompt",
                         "A vector is",
                         "--max-tokens",
                         "1000",
                         "--ignore-eos"});
  EXPECT_EQ(served.run({"--prompt", "x", "--max-tokens", "1"}).status, 0);
  served.running().signal(SIGINT);
  served.running().signal(SIGTERM);
  const CommandResult end = served.running().finish(15'000);
  EXPECT_EQ(end.status, 130) << end.err;
}

TEST(Up, ALostRankIsNamedAndItsGroupComesBack) {
  Served served({"-tp", "2", "-pp", "2", "--groups", "2"});
  const auto ranks = served.running().descendants("trireme-worker");
  ASSERT_EQ(ranks.size(), 8u);
  ASSERT_EQ(::kill(ranks.front(), SIGKILL), 0);
  const std::string lost = served.running().wait_for("group_lost", 10'000);
  ASSERT_NE(lost, "") << served.running().text();
  const json event = json::parse(lost);
  EXPECT_TRUE(event["rank"].is_number()) << lost;
  EXPECT_NE(event["host"], "");
  EXPECT_THAT(event["cause"].get<std::string>(), HasSubstr("TRI-GRP-"));
  // The other group answers meanwhile.
  EXPECT_EQ(served.run({"--prompt", "A map", "--max-tokens", "4"}).status, 0);
  const std::string back = served.running().wait_for("group_ready", 20'000);
  ASSERT_NE(back, "") << served.running().text();
  EXPECT_EQ(json::parse(back)["group"], event["group"]);
  served.running().signal(SIGINT);
  EXPECT_EQ(served.running().finish().status, 0);
}

TEST(Up, APortInUseIsNamed) {
  zmq::context_t context;
  zmq::socket_t taken(context, zmq::socket_type::router);
  taken.bind("tcp://127.0.0.1:*");
  const std::string endpoint = taken.get(zmq::sockopt::last_endpoint);
  const std::string port = endpoint.substr(endpoint.rfind(':') + 1);
  TemporaryFolder state;
  const CommandResult result =
      run_trireme({"up", "--model", kDemo, "--port", port, "--state", state.path()});
  EXPECT_EQ(result.status, 3) << result.err;
  EXPECT_THAT(result.err, AllOf(StartsWith("TRI-NET-010: "), HasSubstr(port)));
  EXPECT_LT(result.seconds, 15);
}

TEST(Up, AHostThatDoesNotAnswerIsNamed) {
  TemporaryFolder folder;
  std::ofstream(folder.path() + "/hosts") << "no-such-host.invalid slots=1\n";
  const CommandResult result = run_trireme({"run",
                                            "--model",
                                            kDemo,
                                            "--prompt",
                                            "x",
                                            "--hostfile",
                                            folder.path() + "/hosts",
                                            "--worker-host",
                                            "localhost"});
  EXPECT_EQ(result.status, 3) << result.err;
  EXPECT_THAT(result.err, AllOf(StartsWith("TRI-UP-008: "), HasSubstr("no-such-host.invalid")));
  EXPECT_LT(result.seconds, 15);
}

// A model that takes seconds to load.
std::vector<std::string> slow_load(const std::string& state) {
  return {"up",
          "--model",
          "dummy:qwen2.5-1.5b",
          "--port",
          "0",
          "--state",
          state,
          "-tp",
          "2",
          "--kv-memory",
          "64MiB",
          "--max-model-len",
          "1024"};
}

TEST(Up, ARankThatDiesWhileLoadingIsNamed) {
  TemporaryFolder state;
  RunningTrireme running(slow_load(state.path()));
  const auto ranks = running.wait_for_descendants("trireme-worker", 2);
  ASSERT_EQ(ranks.size(), 2u) << running.text();
  ASSERT_EQ(::kill(ranks.back(), SIGKILL), 0);
  const CommandResult result = running.finish(15'000);
  EXPECT_EQ(result.status, 3) << result.err;
  EXPECT_THAT(
      result.err,
      AllOf(
          HasSubstr("TRI-UP-011: group 0 could not start"), HasSubstr("rank "), HasSubstr(" on ")));
}

TEST(Up, ARankThatHangsWhileLoadingIsNamed) {
  TemporaryFolder state;
  RunningTrireme running(slow_load(state.path()));
  const auto ranks = running.wait_for_descendants("trireme-worker", 2);
  ASSERT_EQ(ranks.size(), 2u) << running.text();
  ASSERT_EQ(::kill(ranks.back(), SIGSTOP), 0);
  const CommandResult result = running.finish(30'000);
  ::kill(ranks.back(), SIGKILL);
  EXPECT_EQ(result.status, 3) << result.err;
  EXPECT_LT(result.seconds, 25);
  EXPECT_THAT(result.err, AllOf(HasSubstr("TRI-UP-01"), HasSubstr("group 0")));
}

TEST(Up, MemoryThatFailsAtLoadIsNamed) {
  TemporaryFolder state;
  RunningTrireme running(slow_load(state.path()), {"prlimit", "--as=700000000"});
  const CommandResult result = running.finish(15'000);
  EXPECT_EQ(result.status, 3) << result.err;
  EXPECT_THAT(result.err, AllOf(HasSubstr("TRI-MEM-001"), HasSubstr("rank ")));
}

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

// The command line's own account of D2 and of the shared prefix.
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

TEST(Run, ALengthThatIsLoweredToWhatFitsIsSaid) {
  const CommandResult result = run_trireme(
      {"run", "--model", kDemo, "--kv-memory", "512KiB", "--prompt", "x", "--max-tokens", "1"});
  EXPECT_EQ(result.status, 0) << result.err;
  EXPECT_THAT(result.err, HasSubstr("sequences up to 64 tokens, lowered from 1024"));
}

TEST(Run, TheSameSeedGivesTheSameAnswerInAnyClusterAndCompany) {
  const std::vector<std::string> ask = {
      "--json", "--prompt", "A vector is", "--seed", "11", "--max-tokens", "40", "--ignore-eos"};
  std::vector<std::string> alone = {"run", "--model", kDemo};
  alone.insert(alone.end(), ask.begin(), ask.end());
  const CommandResult first = run_trireme(alone);
  ASSERT_EQ(first.status, 0) << first.err;
  Served served({"-tp", "2", "-pp", "2", "--groups", "2"});
  RunningTrireme company({"run",
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

TEST(Run, NobodyAtTheEndpointIsExitThree) {
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

// Spans of a name in a stage's row by step, as [begin, end) in microseconds.
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

TEST(Run, BothStagesWorkAtOnceWithTwoRequestsAndByTurnsWithOne) {
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
  EXPECT_EQ(pipelined_share(trace_of(1)), 0);
}

TEST(Verify, TheDemoModelIsServedRight) {
  for (const char* dtype : {"float32", "bfloat16"}) {
    const CommandResult result = run_trireme(
        {"verify", "--model", kDemo, "-tp", "2", "-pp", "2", "--dtype", dtype, "--json"});
    ASSERT_EQ(result.status, 0) << result.out << result.err;
    const json verdict = json::parse(result.out);
    EXPECT_EQ(verdict["passed"], true);
    EXPECT_EQ(verdict["sequences"], 5);
    EXPECT_EQ(verdict["positions"], 40);
    EXPECT_EQ(verdict["tp"], 2);
    EXPECT_EQ(verdict["dtype"], dtype);
    EXPECT_GT(verdict["greedy_equal"], 100);
  }
}

// The model with one weight matrix of another layer, against the outputs of the right one.
TEST(Verify, AWrongWeightIsANoAndLocalizedToItsLayer) {
  const std::string right = TRIREME_TEST_DATA "/golden/models/llama-gqa";
  TemporaryFolder folder;
  for (const char* name : {"config.json", "expected.safetensors", "model.safetensors"}) {
    std::ifstream from(format_text("{}/{}", right, name), std::ios::binary);
    std::ofstream(format_text("{}/{}", folder.path(), name), std::ios::binary) << from.rdbuf();
  }
  std::fstream weights(folder.path() + "/model.safetensors",
                       std::ios::binary | std::ios::in | std::ios::out);
  uint64_t length = 0;
  weights.read(reinterpret_cast<char*>(&length), sizeof length);
  std::string header(length, ' ');
  weights.read(header.data(), static_cast<std::streamsize>(length));
  const json tensor = json::parse(header)["model.layers.2.mlp.down_proj.weight"];
  const auto begin = tensor["data_offsets"][0].get<int64_t>();
  const auto end = tensor["data_offsets"][1].get<int64_t>();
  weights.seekp(static_cast<std::streamoff>(8 + length) + begin);
  weights << std::string(static_cast<size_t>(end - begin), '\0');
  weights.close();
  const CommandResult result = run_trireme(
      {"verify", "--model", folder.path(), "--dtype", "float32", "--localize", "--json"});
  EXPECT_EQ(result.status, 1) << result.err;
  const json verdict = json::parse(result.out);
  EXPECT_EQ(verdict["passed"], false);
  EXPECT_EQ(verdict["first_difference"]["layer"], 3) << verdict;  // the output of layer index 2
}

}  // namespace
}  // namespace trireme
