// One mpirun command line per version: launch/command_lines/mpirun_options.cc has its options;
// launch/mpirun_local.sh and docs/operations.md repeat it and are compared with it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <regex>
#include <sstream>

#include "base/environment.h"
#include "base/flags.h"
#include "base/text.h"
#include "launch/command_lines/command_lines.h"
#include "launch/process/inherited_environment.h"

namespace trireme {
namespace mpirun_line_test {

using Words = std::vector<std::string>;
using testing::HasSubstr;

const MpirunVersion kVersions[] = {{MpirunKind::kOpenMpi4, "4.1.4"},
                                   {MpirunKind::kOpenMpi5, "5.0.11"}};

// The words after `mpirun -np N` and before the worker program.
Words options_of(WorkerLaunch launch,
                 const MpirunVersion& version,
                 const std::string& interface = "") {
  launch.mpirun = version;
  ClusterFlags flags;
  flags.interface = interface;
  const Words all = mpirun_command(flags, launch).arguments;
  const auto program = std::ranges::find_if(
      all, [](const std::string& word) { return word.ends_with("/trireme-worker"); });
  return {all.begin() + 3, program};
}

std::string operations_page() {
  std::ifstream file(TRIREME_SOURCE_DIR "/docs/operations.md");
  std::ostringstream text;
  text << file.rdbuf();
  return std::regex_replace(text.str(), std::regex("\\\\\n"), " ");
}

// The options of a command line of the page that begins with `begin`, up to the worker program.
// `nth` counts such lines from 0.
Words documented_options(const std::string& begin, int nth) {
  const std::string page = operations_page();
  size_t at = page.find("\n" + begin);
  for (; nth > 0 && at != std::string::npos; --nth) at = page.find("\n" + begin, at + 1);
  if (at == std::string::npos) return {"no line of docs/operations.md begins with " + begin};
  std::istringstream line(page.substr(at + 1 + begin.size()));
  Words words;
  for (std::string word; line >> word && !word.ends_with("/trireme-worker");) words.push_back(word);
  return words;
}

// Variables of batch systems and of an outer mpirun, at least one per prefix.
const Words kInherited = {"SLURM_JOBID",
                          "SLURMD_NODENAME",
                          "LSB_HOSTS",
                          "LSF_ENVDIR",
                          "PBS_NODEFILE",
                          "SGE_ROOT",
                          "FLUX_URI",
                          "PALS_RANKID",
                          "ALPS_APP_PE",
                          "PMIX_RANK",
                          "PMIX_MCA_ptl_tcp_if_include",
                          "PMI_RANK",
                          "PMI2_JOBID",
                          "PRTE_LAUNCHED",
                          "OMPI_COMM_WORLD_RANK",
                          "OMPI_UNIVERSE_SIZE"};

// Runs mpirun_local.sh with a program named mpirun that tells a version, or prints its arguments
// and its environment.
class MpirunLocal : public testing::TestWithParam<MpirunVersion> {
 protected:
  MpirunLocal() {
    const std::string folder = testing::TempDir() + "fake_mpirun";
    std::filesystem::create_directories(folder);
    const std::string path = folder + "/mpirun";
    std::ofstream(path) << "#!/bin/sh\n[ \"$1\" = --version ] && echo 'mpirun (Open MPI) "
                        << GetParam().number
                        << "' && exit\nprintf '%s\\n' \"$@\" ENVIRONMENT\nenv\n";
    std::filesystem::permissions(path, std::filesystem::perms::owner_all);
    ProcessOptions options;
    options.arguments = {TRIREME_SOURCE_DIR "/launch/mpirun_local.sh", "4", "program", "a b"};
    options.environment = {{"PATH", folder + ":" + environment("PATH").value_or("/bin")},
                           {"TMPDIR", kLongFolder}};
    for (const std::string& name : kInherited) options.environment.emplace_back(name, "1");
    Process script = Process::start(options).value();
    EXPECT_EQ(script.wait_exit(20'000), 0);
    Words lines;
    script.read_lines(lines, errors_);
    const auto end = std::ranges::find(lines, "ENVIRONMENT");
    arguments_.assign(lines.begin(), end);
    environment_.assign(end, lines.end());
  }

  const std::string kLongFolder = std::string(41, 'x');
  Words arguments_;
  Words environment_;
  Words errors_;
};

INSTANTIATE_TEST_SUITE_P(Versions, MpirunLocal, testing::ValuesIn(kVersions), [](const auto& row) {
  return format_text("OpenMpi{}", row.param.number.substr(0, 1));
});

TEST_P(MpirunLocal, PassesTheOptionsOfALaunchOnOneMachine) {
  Words expected = {"-np", "4"};
  const Words options = options_of(WorkerLaunch(), GetParam());
  expected.insert(expected.end(), options.begin(), options.end());
  expected.insert(expected.end(), {"program", "a b"});
  EXPECT_EQ(arguments_, expected);
}

TEST_P(MpirunLocal, PassesNoVariableOfABatchSystemOrAnOuterMpirun) {
  for (const std::string& name : kInherited) {
    EXPECT_TRUE(places_processes(name)) << name;
    const auto is_passed = [&](const std::string& line) { return line.starts_with(name + "="); };
    EXPECT_TRUE(std::ranges::none_of(environment_, is_passed)) << name;
  }
}

TEST_P(MpirunLocal, SetsTheVariablesOfALaunch) {
  ASSERT_EQ(::setenv("TMPDIR", kLongFolder.c_str(), 1), 0);
  const ProcessOptions command = mpirun_command(ClusterFlags(), WorkerLaunch());
  ::unsetenv("TMPDIR");
  int num_compared = 0;
  for (const auto& [name, value] : command.environment) {
    if (name == "TRIREME_CONFIG") continue;  // concerns the config file of a verb
    EXPECT_THAT(environment_, testing::Contains(name + "=" + value));
    ++num_compared;
  }
  EXPECT_GE(num_compared, 2) << "TMPDIR and the store of PMIx";
}

TEST(OperationsPage, HasTheMpirunLineOfOneMachineForEachVersion) {
  for (int i = 0; i < 2; ++i) {
    Words documented = documented_options("mpirun -np 4 --bind-to ", i);
    documented.insert(documented.begin(), "--bind-to");
    EXPECT_EQ(documented, options_of(WorkerLaunch(), kVersions[i]));
  }
}

TEST(OperationsPage, HasTheOptionsThatReplaceThoseOfOneMachineOnSeveralHosts) {
  WorkerLaunch launch;
  launch.hosts = {{"node1", 2}, {"node2", 2}};
  launch.worker_key = "KEY";
  for (int i = 0; i < 2; ++i) {
    const Words expected = options_of(launch, kVersions[i], "eth0");
    const auto first = std::ranges::find(expected, "--host");
    EXPECT_EQ(documented_options("mpirun -np 4 ... ", i), Words(first, expected.end()));
  }
}

TEST(OperationsPage, HasTheVariablesOfALaunch) {
  const std::string page = operations_page();
  for (const auto& [name, value] : mpirun_command(ClusterFlags(), WorkerLaunch()).environment) {
    if (name == "TRIREME_CONFIG" || name == "TMPDIR") continue;
    EXPECT_THAT(page, HasSubstr(name + "=" + value));
  }
}

}  // namespace mpirun_line_test
}  // namespace trireme
