// `trireme status` and `trireme doctor` with a real cluster and this machine.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "tests/cluster/served_cluster.h"

namespace trireme {
namespace status_verbs_test {

using nlohmann::json;
using testing::AllOf;
using testing::HasSubstr;

TEST(Status, CountsFinishedRequestsAndTokens) {
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
  EXPECT_EQ(status["healthy"], true);
  EXPECT_EQ(status["reason"], "");
  EXPECT_EQ(status["journal"]["state"], "on");
  EXPECT_GT(status["journal"]["bytes"], 0);
  EXPECT_EQ(status["journal"]["unfinished"], 0);
  EXPECT_EQ(status["journal"]["kept"], 1);
  const CommandResult text = run_trireme({"status", "--endpoint", served.endpoint()});
  EXPECT_THAT(text.out, AllOf(HasSubstr("health    good"), HasSubstr("journal   on, ")));
  EXPECT_EQ(run_trireme({"status", "--endpoint", "tcp://127.0.0.1:1"}).status, 3);
}

TEST(Doctor, ReportsThisMachineAndAHostThatDoesNotResolve) {
  const CommandResult here = run_trireme({"doctor", "--json"});
  EXPECT_EQ(here.status, 0) << here.out;
  EXPECT_THAT(here.out, AllOf(HasSubstr("Open MPI"), HasSubstr("trireme-worker")));
  TemporaryFolder folder;
  std::ofstream(folder.path() + "/hosts") << "no-such-host.invalid slots=1\n";
  const CommandResult there = run_trireme({"doctor", "--hostfile", folder.path() + "/hosts"});
  EXPECT_EQ(there.status, 1);
  EXPECT_THAT(there.out, AllOf(HasSubstr("no-such-host.invalid"), HasSubstr("does not resolve")));
}

}  // namespace status_verbs_test
}  // namespace trireme
