// `trireme up` with real clusters: serving, draining, lost groups, and starts that fail.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <zmq.hpp>

#include "tests/cluster/served_cluster.h"

namespace trireme {
namespace up_verb_test {

using nlohmann::json;
using testing::AllOf;
using testing::HasSubstr;
using testing::StartsWith;

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

}  // namespace up_verb_test
}  // namespace trireme
