// Clusters on machines that lack something: open files, a home, room in /dev/shm, a network; with
// variables of a batch system; and with a coordinator that was stopped and woken.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <map>
#include <optional>
#include <regex>

#include "base/environment.h"
#include "tests/cluster/served_cluster.h"

namespace trireme {
namespace machine_test {

using testing::AllOf;
using testing::HasSubstr;
using testing::StartsWith;

// A variable of this process and of those that it starts, for one test.
class Variable {
 public:
  Variable(const char* name, const std::string& value) : name_(name), before_(environment(name)) {
    EXPECT_EQ(::setenv(name, value.c_str(), 1), 0);
  }
  ~Variable() { before_ ? ::setenv(name_, before_->c_str(), 1) : ::unsetenv(name_); }
  Variable(const Variable&) = delete;
  Variable& operator=(const Variable&) = delete;

 private:
  const char* const name_;
  const std::optional<std::string> before_;
};

const std::vector<std::string> kTwoRanks = {
    "run", "--model", kDemo, "--backend", "cpu", "-tp", "2", "--prompt", "hi", "--max-tokens", "3"};

// Runs two ranks behind `prefix`, with more flags.
CommandResult run_two(const std::vector<std::string>& prefix = {},
                      const std::vector<std::string>& flags = {}) {
  std::vector<std::string> arguments = kTwoRanks;
  arguments.insert(arguments.end(), flags.begin(), flags.end());
  RunningTrireme running(arguments, prefix);
  return running.finish(40'000);
}

// Becomes another user than root, whom limits and permissions do not bind.
const std::vector<std::string> kAsUser = {
    "setpriv", "--reuid", "65533", "--regid", "65533", "--clear-groups"};

TEST(OpenFiles, TooLowALimitIsRefusedAtOnceAndTheNumberOfTheMessageSuffices) {
  for (const char* limit : {"--nofile=16:16", "--nofile=24:24", "--nofile=32:32"}) {
    const CommandResult refused = run_two({"prlimit", limit});
    EXPECT_EQ(refused.status, 2) << refused.err;
    EXPECT_LT(refused.seconds, 5);
    std::smatch match;
    ASSERT_TRUE(std::regex_search(refused.err,
                                  match,
                                  std::regex("TRI-UP-041: the limit of open files is \\d+, the "
                                             "cluster needs at least (\\d+); raise it")))
        << refused.err;
    const std::string enough = format_text("--nofile={}:{}", match[1].str(), match[1].str());
    const CommandResult answered = run_two({"prlimit", enough});
    EXPECT_EQ(answered.status, 0) << enough << "\n" << answered.err;
  }
}

TEST(OpenFiles, ASoftLimitIsRaisedAsFarAsItMayBe) {
  const CommandResult result = run_two({"prlimit", "--nofile=16:4096"});
  EXPECT_EQ(result.status, 0) << result.err;
}

// Runs a program to its end and returns its stderr.
std::string refusal_of(std::vector<std::string> command) {
  ProcessOptions options;
  options.arguments = std::move(command);
  Process process = Process::start(options).value();
  EXPECT_EQ(process.wait_exit(10'000), 2);
  std::vector<std::string> out;
  std::vector<std::string> err;
  process.read_lines(out, err);
  return join(err, "\n");
}

const std::vector<std::string> kRankByHand = {
    TRIREME_BIN_DIR "/trireme-worker", "--model", kDemo, "--coordinator", "tcp://127.0.0.1:9"};

TEST(OpenFiles, CoordinatorAndRankStartedByHandRefuse) {
  const std::vector<std::string> coordinator = {
      TRIREME_BIN_DIR "/trireme-coordinator", "--model", kDemo};
  for (const auto& program : {coordinator, kRankByHand}) {
    std::vector<std::string> command = {"prlimit", "--nofile=16:16"};
    command.insert(command.end(), program.begin(), program.end());
    EXPECT_THAT(refusal_of(command), HasSubstr("TRI-UP-041: the limit of open files is 16"));
  }
}

TEST(OpenFiles, TheDoctorShowsTheLimitAndNoWordsOfMpirunAboutIt) {
  RunningTrireme running({"doctor", "--json"}, {"prlimit", "--nofile=16:16"});
  const CommandResult result = running.finish(40'000);
  EXPECT_EQ(result.status, 1) << result.err;
  std::map<std::string, std::string> grades;
  std::map<std::string, std::string> found;
  for (const auto& line : json_lines(result.out)) {
    grades[line["subject"]] = line["grade"];
    found[line["subject"]] = line["found"];
  }
  EXPECT_THAT(found["mpirun"], StartsWith("not tried: "));
  EXPECT_EQ(grades["open files"], "bad") << result.out;
  EXPECT_EQ(grades["threads"], "ok") << result.out;
}

// Root is not limited.
TEST(Threads, TooLowALimitIsRefusedBeforeALibraryAborts) {
  if (::geteuid() != 0) GTEST_SKIP() << "becoming another user takes root";
  const Variable home("HOME", "/nonexistent");
  const struct {
    const char* limit;
    std::vector<std::string> flags;
  } cases[] = {{"12", {}}, {"50", {"--threads", "20"}}};
  for (const auto& row : cases) {
    std::vector<std::string> prefix = {"prlimit",
                                       format_text("--nproc={}:{}", row.limit, row.limit)};
    prefix.insert(prefix.end(), kAsUser.begin(), kAsUser.end());
    const CommandResult result = run_two(prefix, row.flags);
    if (result.err.find("setpriv") != std::string::npos) GTEST_SKIP() << result.err;
    EXPECT_EQ(result.status, 2) << result.err;
    EXPECT_THAT(
        result.err,
        AllOf(HasSubstr("TRI-UP-042"), HasSubstr(format_text("ulimit -u is {}", row.limit))));
  }
}

TEST(BatchSystem, ItsVariablesDoNotChangeAClusterOnThisMachine) {
  const Variable job("SLURM_JOBID", "12");
  const Variable nodes("SLURM_NODELIST", "node1");
  const Variable rank("PMIX_RANK", "3");
  const Variable launcher("OMPI_MCA_plm", "slurm");
  CommandResult result = run_two();
  EXPECT_EQ(result.status, 0) << result.err;
  const Variable tasks("SLURM_TASKS_PER_NODE", "1");
  result = run_two();
  EXPECT_EQ(result.status, 0) << result.err;
}

TEST(BatchSystem, AClusterStartsInsideARankOfMpirun) {
  const CommandResult result = run_two({TRIREME_SOURCE_DIR "/launch/mpirun_local.sh", "1"});
  EXPECT_EQ(result.status, 0) << result.err;
}

TEST(Mpirun, ALaterOneThanTheLibraryOfTheRanksIsNamed) {
  const Variable version("OMPI_VERSION", "99.0.1");
  EXPECT_THAT(refusal_of(kRankByHand), StartsWith("TRI-UP-043: mpirun is Open MPI 99.0.1, "));
}

TEST(Mpirun, AGroupOfOneRankNeedsNone) {
  const std::vector<std::string> without = {"env", "PATH=/nonexistent", "PMIX_RANK=3"};
  EXPECT_THAT(run_two(without).err, HasSubstr("TRI-UP-040: there is no mpirun in PATH"));
  RunningTrireme running(
      {"run", "--model", kDemo, "--backend", "cpu", "--prompt", "hi", "--max-tokens", "3"},
      without);
  const CommandResult result = running.finish(40'000);
  EXPECT_EQ(result.status, 0) << result.err;
}

TEST(Mpirun, ATransportThatIsMissingIsNamed) {
  const Variable transport("OMPI_MCA_pml", "ucx");
  const CommandResult result = run_two();
  if (result.status == 0) GTEST_SKIP() << "this machine has UCX";
  EXPECT_EQ(result.status, 3) << result.err;
  EXPECT_THAT(result.err,
              AllOf(HasSubstr("TRI-UP-011: group 0 could not start: "), HasSubstr("ucx")));
}

TEST(Mpirun, FullSharedMemoryIsAFailureToStart) {
  if (::geteuid() != 0) GTEST_SKIP() << "mounting takes root";
  const CommandResult result =
      run_two({"unshare",
               "-m",
               "--propagation",
               "private",
               "sh",
               "-c",
               "mount -t tmpfs -o size=64k tmpfs /dev/shm || exit 77; exec \"$@\"",
               "_"});
  if (result.status == 77) GTEST_SKIP() << "this container may not mount";
  EXPECT_EQ(result.status, 3) << result.err;
  // Open MPI loses its explanation ("not enough space for /dev/shm/") where a rank ends before it
  // was passed on; mpirun_output_test has the words that follow then.
  EXPECT_THAT(result.err, HasSubstr("TRI-UP-011: group 0 could not start: "));
}

TEST(Mpirun, AMachineWithoutAnyInterfaceIsNamed) {
  if (::geteuid() != 0) GTEST_SKIP() << "making a network namespace takes root";
  const CommandResult result = run_two({"unshare", "-n", "sh", "-c", "exec \"$@\"", "_"});
  if (result.err.find("unshare failed") != std::string::npos) GTEST_SKIP() << result.err;
  EXPECT_EQ(result.status, 3) << result.err;
  EXPECT_THAT(result.err, HasSubstr("unable to find network interfaces"));
}

TEST(Home, UpNeedsNoneThatItCanWrite) {
  const Variable home("HOME", "/proc/nonexistent");
  const Variable state("XDG_STATE_HOME", "");
  RunningTrireme running({"up", "--model", kDemo, "--backend", "cpu", "--port", "18900"});
  EXPECT_NE(running.wait_for("ready tcp://"), "") << running.text();
  EXPECT_THAT(running.text(), HasSubstr("/proc/nonexistent/.local/state/trireme/demo-18900"));
  EXPECT_THAT(running.text(), HasSubstr("which is removed at the end"));
  running.signal(SIGINT);
  EXPECT_EQ(running.finish().status, 0);
}

TEST(Mpirun, VariablesOfOtherTemporaryFoldersDoNotReachIt) {
  if (::geteuid() != 0) GTEST_SKIP() << "becoming another user takes root";
  const Variable home("HOME", "/nonexistent");
  const Variable folder("TMP", "/nonexistent");
  const CommandResult result = run_two(kAsUser);
  if (result.err.find("setpriv") != std::string::npos) GTEST_SKIP() << result.err;
  EXPECT_EQ(result.status, 0) << result.err;
}

TEST(Mpirun, ATemporaryFolderWithoutFreeInodesIsRefused) {
  if (::geteuid() != 0) GTEST_SKIP() << "mounting takes root";
  const CommandResult result =
      run_two({"unshare",
               "-m",
               "--propagation",
               "private",
               "sh",
               "-c",
               "mount -t tmpfs -o nr_inodes=20 tmpfs /mnt || exit 77; TMPDIR=/mnt exec \"$@\"",
               "_"});
  if (result.status == 77) GTEST_SKIP() << "this container may not mount";
  EXPECT_EQ(result.status, 2) << result.err;
  EXPECT_THAT(result.err,
              AllOf(HasSubstr("TRI-UP-015"), HasSubstr("/mnt has only 19 free inodes")));
}

TEST(Home, AnEmptyTmpdirIsAsIfItWereNotSet) {
  const Variable folder("TMPDIR", "");
  const CommandResult result = run_two();
  EXPECT_EQ(result.status, 0) << result.err;
}

// Stops processes of a cluster that answers a long request for longer than every limit of hang
// detection, and wakes them.
void expect_no_loss(const std::vector<std::string>& stopped) {
  Served served({"-tp", "2", "--backend", "cpu"});
  RunningTrireme asking({"run",
                         "--endpoint",
                         served.endpoint(),
                         "--prompt",
                         "A vector is",
                         "--json",
                         "--max-tokens",
                         "1000",
                         "--ignore-eos"});
  ASSERT_EQ(served.run({"--prompt", "x", "--max-tokens", "1"}).status, 0);
  std::vector<pid_t> processes;
  for (const std::string& name : stopped) {
    const auto found = served.running().descendants(name);
    ASSERT_FALSE(found.empty()) << name;
    processes.insert(processes.end(), found.begin(), found.end());
  }
  for (const pid_t pid : processes) ASSERT_EQ(::kill(pid, SIGSTOP), 0);
  EXPECT_EQ(served.running().wait_for("group_lost", 8'000), "");
  for (const pid_t pid : processes) ASSERT_EQ(::kill(pid, SIGCONT), 0);
  const CommandResult answer = asking.finish();
  EXPECT_EQ(answer.status, 0) << answer.err;
  ASSERT_EQ(json_lines(answer.out).size(), 1u) << answer.out;
  EXPECT_EQ(json_lines(answer.out)[0]["token_ids"].size(), 1000u);
  EXPECT_EQ(served.running().wait_for("group_lost", 2'000), "") << served.running().text();
  EXPECT_EQ(served.run({"--prompt", "A map", "--max-tokens", "4"}).status, 0);
  served.running().signal(SIGINT);
  EXPECT_EQ(served.running().finish().status, 0);
}

TEST(Standstill, ACoordinatorThatWasStoppedAndWokenLosesNoGroupAndNoAnswer) {
  expect_no_loss({"trireme-coordinator"});
}

TEST(Standstill, AClusterThatWasStoppedAndWokenAsAWholeLosesNoGroupAndNoAnswer) {
  expect_no_loss({"trireme-coordinator", "trireme-worker", "mpirun"});
}

}  // namespace machine_test
}  // namespace trireme
