// One mpirun command line: launch/command_lines.cc makes it; launch/mpirun_local.sh and
// docs/operations.md repeat it and are compared with it.
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
#include "launch/command_lines.h"

namespace trireme {
namespace {

using Words = std::vector<std::string>;
using testing::HasSubstr;

// The words after `mpirun -np N` and before the worker program.
Words mpirun_options(const WorkerLaunch& launch, const std::string& interface = "") {
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

// The options of the command line of the page that begins with `begin`, up to the worker program.
Words documented_options(const std::string& begin) {
  const std::string page = operations_page();
  const size_t at = page.find("\n" + begin);
  if (at == std::string::npos) return {"no line of docs/operations.md begins with " + begin};
  std::istringstream line(page.substr(at + 1 + begin.size()));
  Words words;
  for (std::string word; line >> word && !word.ends_with("/trireme-worker");) words.push_back(word);
  return words;
}

// Runs mpirun_local.sh with a program named mpirun that prints its arguments and its environment.
class MpirunLocal : public testing::Test {
 protected:
  MpirunLocal() {
    const std::string folder = testing::TempDir() + "fake_mpirun";
    std::filesystem::create_directories(folder);
    const std::string path = folder + "/mpirun";
    std::ofstream(path) << "#!/bin/sh\nprintf '%s\\n' \"$@\" ENVIRONMENT\nenv\n";
    std::filesystem::permissions(path, std::filesystem::perms::owner_all);
    ProcessOptions options;
    options.arguments = {TRIREME_SOURCE_DIR "/launch/mpirun_local.sh", "4", "program", "a b"};
    options.environment = {{"PATH", folder + ":" + environment("PATH").value_or("/bin")},
                           {"TMPDIR", kLongFolder}};
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

TEST_F(MpirunLocal, PassesTheOptionsOfALaunchOnOneMachine) {
  Words expected = {"-np", "4"};
  const Words options = mpirun_options(WorkerLaunch());
  expected.insert(expected.end(), options.begin(), options.end());
  expected.insert(expected.end(), {"program", "a b"});
  EXPECT_EQ(arguments_, expected);
}

TEST_F(MpirunLocal, SetsTheVariablesOfALaunch) {
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

TEST(OperationsPage, HasTheMpirunLineOfOneMachine) {
  EXPECT_EQ(documented_options("mpirun -np 4 "), mpirun_options(WorkerLaunch()));
}

TEST(OperationsPage, HasTheOptionsThatReplaceThoseOfOneMachineOnSeveralHosts) {
  WorkerLaunch launch;
  launch.hosts = {{"node1", 2}, {"node2", 2}};
  launch.worker_key = "KEY";
  const Words expected = mpirun_options(launch, "eth0");
  const auto first = std::ranges::find(expected, "--host");
  EXPECT_EQ(documented_options("mpirun -np 4 ... "), Words(first, expected.end()));
}

TEST(OperationsPage, HasTheVariablesOfALaunch) {
  const std::string page = operations_page();
  for (const auto& [name, value] : mpirun_command(ClusterFlags(), WorkerLaunch()).environment) {
    if (name == "TRIREME_CONFIG" || name == "TMPDIR") continue;
    EXPECT_THAT(page, HasSubstr(name + "=" + value));
  }
}

}  // namespace
}  // namespace trireme
