// The table of verbs, and the verbs that need neither weights nor a cluster.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>

#include "base/text.h"
#include "clients/cli/explain/error_pages.h"
#include "clients/cli/verbs.h"
#include "launch/command_lines/command_lines.h"

namespace trireme {
namespace verb_table_test {

using nlohmann::json;
using testing::HasSubstr;
using testing::StartsWith;

class CommandLine : public testing::Test {
 protected:
  using File = std::unique_ptr<std::FILE, int (*)(std::FILE*)>;

  int run(const Arguments& arguments) {
    const File out(std::tmpfile(), std::fclose);
    const File err(std::tmpfile(), std::fclose);
    Terminal terminal(out.get(), err.get());
    const int status = run_command_line(terminal, arguments);
    out_ = content(out.get());
    err_ = content(err.get());
    return status;
  }
  static std::string content(std::FILE* file) {
    std::rewind(file);
    std::string text(1 << 18, '\0');
    text.resize(std::fread(text.data(), 1, text.size(), file));
    return text;
  }

  std::string out_;
  std::string err_;
};

TEST_F(CommandLine, WithoutAVerbTheOverviewIsShownAndUsageIsBad) {
  EXPECT_EQ(run({}), 2);
  EXPECT_EQ(out_, "");
  for (const Verb& verb : verbs()) EXPECT_THAT(err_, HasSubstr(format_text("\n  {} ", verb.name)));
}

TEST_F(CommandLine, ABenchWithoutAPartIsBadUsage) {
  EXPECT_EQ(run({"bench"}), 2);
  EXPECT_EQ(out_, "");
  EXPECT_THAT(err_, HasSubstr("bench serve"));
}

TEST_F(CommandLine, HelpGoesToStdout) {
  for (const Arguments& words : {Arguments{"help"}, {"--help"}, {"-h"}}) {
    EXPECT_EQ(run(words), 0);
    EXPECT_THAT(out_, StartsWith("trireme: distributed inference"));
  }
}

TEST_F(CommandLine, EveryVerbHasHelpInBothSpellings) {
  for (const Verb& verb : verbs()) {
    EXPECT_EQ(run({verb.name, "--help"}), 0) << verb.name;
    EXPECT_THAT(out_, HasSubstr(format_text("trireme {}", verb.name))) << verb.name;
    const std::string once = out_;
    EXPECT_EQ(run({"help", verb.name}), 0) << verb.name;
    EXPECT_EQ(out_, once);
  }
}

TEST_F(CommandLine, ClusterFlagsAreTheSameForEveryVerb) {
  const Arguments verbs[] = {
      {"up"}, {"run"}, {"verify"}, {"plan"}, {"bench", "step"}, {"bench", "serve"}};
  for (Arguments verb : verbs) {
    verb.emplace_back("--help-all");
    EXPECT_EQ(run(verb), 0);
    for (const char* flag : {"tensor-parallel-size, -tp",
                             "pipeline-parallel-size, -pp",
                             "groups",
                             "backend",
                             "invariant",
                             "hostfile",
                             "threads",
                             "dtype",
                             "quantization",
                             "kv-cache-dtype",
                             "max-model-len",
                             "max-num-seqs",
                             "max-num-batched-tokens",
                             "kv-memory",
                             "enable-prefix-caching",
                             "served-model-name",
                             "host",
                             "port",
                             "state",
                             "weights-seed"}) {
      EXPECT_THAT(out_, HasSubstr(format_text("\n  --{} ", flag))) << join(verb, " ");
    }
  }
}

TEST_F(CommandLine, AnUnknownVerbIsRejectedWithTheNearestName) {
  EXPECT_EQ(run({"verfiy"}), 2);
  EXPECT_THAT(err_, StartsWith("TRI-ARGS-020: there is no verb \"verfiy\"; did you mean verify?"));
  EXPECT_EQ(run({"xxxxxxxxxxxx"}), 2);
  EXPECT_THAT(err_, testing::Not(HasSubstr("did you mean")));
}

TEST_F(CommandLine, AVerbOfALaterReleaseIsRejectedAsSuch) {
  EXPECT_EQ(run({"top"}), 2);
  EXPECT_THAT(err_, StartsWith("TRI-ARGS-021: the verb top is not built yet"));
}

TEST_F(CommandLine, AnUnknownFlagIsRejectedWithTheNearestName) {
  EXPECT_EQ(run({"status", "--endpiont", "x"}), 2);
  EXPECT_THAT(err_, StartsWith("TRI-ARGS-001"));
  EXPECT_THAT(err_, HasSubstr("endpoint"));
}

TEST_F(CommandLine, AWordThatIsNotAFlagIsRejected) {
  EXPECT_EQ(run({"version", "please"}), 2);
  EXPECT_THAT(err_, StartsWith("TRI-ARGS-022: \"please\" is not a flag"));
}

TEST_F(CommandLine, VersionIsJsonOnDemand) {
  EXPECT_EQ(run({"version"}), 0);
  EXPECT_THAT(out_, StartsWith("trireme " TRIREME_VERSION "\n"));
  EXPECT_EQ(run({"version", "--json"}), 0);
  EXPECT_EQ(json::parse(out_)["version"], TRIREME_VERSION);
}

TEST_F(CommandLine, ExplainFindsEveryPageWithMeaningCausesAndRemedy) {
  const std::vector<std::string> ids = error_page_ids();
  ASSERT_FALSE(ids.empty());
  EXPECT_EQ(std::set<std::string>(ids.begin(), ids.end()).size(), ids.size()) << "a page twice";
  for (const std::string& id : ids) {
    EXPECT_EQ(run({"explain", id, "--json"}), 0) << id;
    const json page = json::parse(out_);
    EXPECT_EQ(page["id"], id);
    for (const char* field : {"meaning", "causes", "what_to_do"}) {
      const std::string text = page[field];
      EXPECT_GT(text.size(), 5u) << id << " " << field;
      EXPECT_EQ(text.back(), '.') << id << " " << field;
    }
  }
}

TEST_F(CommandLine, ExplainAcceptsAPastedIdAndWrapsItsPage) {
  EXPECT_EQ(run({"explain", "tri-args-001:"}), 0);
  EXPECT_THAT(out_, StartsWith("TRI-ARGS-001\n\nWhat it means\n  "));
  for (const std::string& line : split(out_, '\n')) EXPECT_LE(line.size(), 84u);
}

TEST_F(CommandLine, ExplainOfAnUnknownIdNamesTheNearest) {
  EXPECT_EQ(run({"explain", "TRI-ARGS-0001"}), 2);
  EXPECT_THAT(err_, StartsWith("TRI-ARGS-023"));
  EXPECT_THAT(err_, HasSubstr("did you mean TRI-ARGS-001?"));
}

TEST_F(CommandLine, ExplainWithoutAnIdListsAll) {
  EXPECT_EQ(run({"explain"}), 0);
  EXPECT_EQ(split(out_, '\n').size(), error_page_ids().size() + 1);
}

TEST_F(CommandLine, StatusOfAMalformedEndpointIsBadInput) {
  EXPECT_EQ(run({"status", "--endpoint", "nowhere"}), 2);
  EXPECT_THAT(err_, StartsWith("TRI-NET-033"));
}

TEST_F(CommandLine, ABadHostfileStopsTheDoctorBeforeAnyCheck) {
  EXPECT_EQ(run({"doctor", "--hostfile", "/nowhere/hosts"}), 2);
  EXPECT_THAT(err_, StartsWith("TRI-UP-004"));
  EXPECT_EQ(out_, "");
}

// The command that `up` would start for this group, with the placeholder of the worker door's port.
std::string mpirun_line(int tp, int pp) {
  ClusterFlags flags;
  flags.model = "dummy:qwen2.5-0.5b";
  flags.tp = tp;
  flags.pp = pp;
  WorkerLaunch launch;
  launch.worker_endpoint = "tcp://127.0.0.1:PORT";
  launch.mpirun = find_mpirun().value_or(MpirunVersion());
  return shell_line(mpirun_command(flags, launch));
}

TEST_F(CommandLine, PlanPrintsTheMpirunLineOfAGroup) {
  const Arguments words = {
      "plan", "--model", "dummy:qwen2.5-0.5b", "--backend", "cpu", "-tp", "2", "-pp", "3"};
  ASSERT_EQ(run(words), 0) << err_;
  EXPECT_THAT(out_, HasSubstr(format_text("\nby hand   {}\n", mpirun_line(2, 3))));
}

TEST_F(CommandLine, PlanAsJsonHasTheMpirunLineOfEachPartition) {
  ASSERT_EQ(run({"plan", "--model", "dummy:qwen2.5-0.5b", "--backend", "cpu", "--json"}), 0)
      << err_;
  std::istringstream lines(out_);
  int num_plans = 0;
  for (std::string line; std::getline(lines, line); ++num_plans) {
    const json plan = json::parse(line);
    EXPECT_EQ(plan["mpirun"], mpirun_line(plan["tp"], plan["pp"]));
  }
  EXPECT_GT(num_plans, 2);
}

}  // namespace verb_table_test
}  // namespace trireme
