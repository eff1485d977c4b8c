// Child processes of groups, with shell commands in place of mpirun.
#include "launch/group_processes.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cerrno>
#include <csignal>
#include <functional>

namespace trireme {
namespace group_processes_test {

using testing::ElementsAre;

class Notes final : public LaunchListener {
 public:
  void note(const std::string& text) override { lines.push_back(text); }
  void warn(const std::string& /*text*/) override {}
  void progress(int64_t /*loaded_bytes*/, int64_t /*total_bytes*/) override {}
  void progress_ended() override {}

  std::vector<std::string> lines;
};

ProcessOptions shell(const std::string& text) {
  ProcessOptions options;
  options.arguments = {"sh", "-c", text};
  return options;
}

bool is_alive(pid_t pid) { return ::kill(pid, 0) == 0 || errno != ESRCH; }

class GroupProcessesTest : public testing::Test {
 protected:
  // Reads until `done`, up to 20 s.
  void read_until(GroupProcesses& groups, const std::function<bool()>& done) {
    SteadyClock clock;
    const TimeUs deadline_us = clock.now_us() + 20'000'000;
    while (!done() && clock.now_us() < deadline_us) {
      std::vector<pollfd> waits;
      groups.add_descriptors(waits);
      ::poll(waits.data(), waits.size(), 100);
      groups.read();
    }
    ASSERT_TRUE(done());
  }

  Notes notes_;
};

TEST_F(GroupProcessesTest, OutputIsKeptWithoutLogLinesAndTheEndIsSeen) {
  GroupProcesses groups(2, /*verbose=*/true, notes_);
  const std::string log_line = "2026-01-31T08:15:02.123Z info rank event=start";
  ASSERT_TRUE(groups.launch(1, shell("echo out; echo '" + log_line + "'; exit 3")).ok());
  EXPECT_TRUE(groups[1].is_running());
  read_until(groups, [&] { return groups[1].ended_us.has_value(); });
  EXPECT_FALSE(groups[1].is_running());
  EXPECT_EQ(groups[1].process.exit_status(), 3);
  EXPECT_THAT(groups[1].tail, ElementsAre("out"));
  EXPECT_THAT(notes_.lines, ElementsAre("group 1 | out", "group 1 | " + log_line));
  EXPECT_FALSE(groups[0].process.started());
}

TEST_F(GroupProcessesTest, ARetiredProcessMakesRoomForTheNextEpochAndIsReaped) {
  GroupProcesses groups(1, /*verbose=*/false, notes_);
  ASSERT_TRUE(groups.launch(0, shell("exec sleep 60")).ok());
  const pid_t first = groups[0].process.pid();
  groups.retire(0);
  EXPECT_FALSE(groups[0].process.started());
  ASSERT_TRUE(groups.launch(0, shell("exec sleep 60")).ok());
  EXPECT_TRUE(is_alive(first)) << "it has 2 s to end by itself";
  ASSERT_EQ(::kill(first, SIGKILL), 0);
  read_until(groups, [&] {
    groups.reap_retired();
    return !is_alive(first);
  });
  EXPECT_TRUE(groups[0].is_running());
}

TEST_F(GroupProcessesTest, WithoutACoordinatorAllGroupsEndAtOnce) {
  GroupProcesses groups(2, /*verbose=*/false, notes_);
  for (const int group : {0, 1}) ASSERT_TRUE(groups.launch(group, shell("exec sleep 60")).ok());
  const pid_t last = groups[1].process.pid();
  EXPECT_FALSE(groups.has_retired());
  SteadyClock clock;
  const TimeUs start_us = clock.now_us();
  groups.retire_all();
  EXPECT_TRUE(groups.has_retired());
  EXPECT_FALSE(groups[0].process.started());
  read_until(groups, [&] {
    groups.reap_retired();
    return !groups.has_retired();
  });
  EXPECT_FALSE(is_alive(last));
  EXPECT_LT(clock.now_us() - start_us, 1'900'000) << "fenced ranks get 2 s";
}

TEST_F(GroupProcessesTest, EndAllLeavesNoProcess) {
  GroupProcesses groups(2, /*verbose=*/false, notes_);
  std::vector<pid_t> pids;
  for (const int group : {0, 1}) {
    ASSERT_TRUE(groups.launch(group, shell("exec sleep 60")).ok());
    pids.push_back(groups[group].process.pid());
  }
  groups.retire(1);
  groups.end_all(0);
  for (const pid_t pid : pids) EXPECT_FALSE(is_alive(pid));
  EXPECT_EQ(groups.num_groups(), 0);
}

TEST_F(GroupProcessesTest, AProgramThatDoesNotExistIsRejected) {
  GroupProcesses groups(1, /*verbose=*/false, notes_);
  ProcessOptions options;
  options.arguments = {"/nowhere/mpirun"};
  EXPECT_EQ(error_id(groups.launch(0, options)), "TRI-UP-020");
}

}  // namespace group_processes_test
}  // namespace trireme
