#include "base/log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <sstream>

namespace trireme {
namespace log_test {

using testing::HasSubstr;
using testing::Not;

std::string contents(const std::string& path) {
  std::ifstream file(path);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

class LogFile : public testing::Test {
 protected:
  void SetUp() override {
    std::string path = testing::TempDir() + "/log-XXXXXX";
    ASSERT_NE(::mkdtemp(path.data()), nullptr);
    folder_ = path;
    path_ = folder_ + "/log";
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  std::string folder_;
  std::string path_;
};

TEST(Log, ValuesAreQuotedOnlyIfNecessary) {
  EXPECT_EQ(log_text("group_lost",
                     {{"group", 0}, {"cause", "rank 1: \"gone\""}, {"ready", true}, {"host", ""}}),
            "event=group_lost group=0 cause=\"rank 1: \\\"gone\\\"\" ready=true host=\"\"");
}

TEST(Log, AValueCannotStartALineOfItsOwn) {
  EXPECT_EQ(log_text("x", {{"a", "b\n2026-01-01T00:00:00.000Z event=forged"}}),
            "event=x a=\"b\\x0a2026-01-01T00:00:00.000Z event=forged\"");
}

TEST(Log, BytesThatAreNotUtf8AreEscaped) {
  EXPECT_EQ(log_text("start", {{"model", "models/m\xFF caf\xC3\xA9"}}),
            "event=start model=\"models/m\\xff caf\xC3\xA9\"");
  EXPECT_EQ(log_text("start", {{"model", "\xE9"}}), "event=start model=\"\\xe9\"");
}

TEST_F(LogFile, AnEventIsOneLineWithTimeLevelAndProcess) {
  ASSERT_TRUE(start_log({"coordinator", LogLevel::kInfo, path_}).ok());
  log_event(LogLevel::kInfo, "start", {{"port", 8900}});
  const std::string text = contents(path_);
  EXPECT_TRUE(is_log_line(text)) << text;
  EXPECT_THAT(text, HasSubstr("Z info coordinator event=start port=8900\n"));
}

TEST_F(LogFile, EventsBelowTheLevelAreNotWritten) {
  ASSERT_TRUE(start_log({"coordinator", LogLevel::kWarning, path_}).ok());
  log_event(LogLevel::kInfo, "small");
  log_event(LogLevel::kWarning, "large");
  EXPECT_THAT(contents(path_), Not(HasSubstr("small")));
  EXPECT_THAT(contents(path_), HasSubstr("event=large"));
}

TEST_F(LogFile, RestartsAppendAndLinesAreBounded) {
  ASSERT_TRUE(start_log({"a", LogLevel::kInfo, path_}).ok());
  log_event(LogLevel::kInfo, "first");
  ASSERT_TRUE(start_log({"b", LogLevel::kInfo, path_}).ok());
  log_event(LogLevel::kInfo, "second", {{"text", std::string(100'000, 'x')}});
  const std::string text = contents(path_);
  EXPECT_THAT(text, HasSubstr("a event=first\n"));
  EXPECT_LT(text.size(), 5'000u);
  EXPECT_EQ(text.back(), '\n');
}

TEST_F(LogFile, AFileThatCannotBeOpenedIsRefusedByName) {
  const Status status = start_log({"a", LogLevel::kInfo, folder_ + "/none/log"});
  EXPECT_EQ(error_id(status), "TRI-ARGS-026");
  EXPECT_THAT(message_of(status), HasSubstr("/none/log"));
}

TEST_F(LogFile, ALargeFileIsSetAsideBeforeAClusterStarts) {
  std::ofstream(path_) << "old\n";
  ASSERT_TRUE(prepare_log_file(path_).ok());
  EXPECT_EQ(contents(path_), "old\n");
  std::filesystem::resize_file(path_, (16 << 20) + 1);
  ASSERT_TRUE(prepare_log_file(path_).ok());
  EXPECT_EQ(contents(path_), "");
  EXPECT_TRUE(std::filesystem::exists(path_ + ".1"));
  EXPECT_EQ(error_id(prepare_log_file(folder_ + "/none/log")), "TRI-ARGS-026");
}

TEST(Log, OnlyKnownLevelsAreAccepted) {
  EXPECT_EQ(*parse_log_level("debug"), LogLevel::kDebug);
  EXPECT_EQ(error_id(parse_log_level("loud").status()), "TRI-ARGS-025");
}

TEST(Log, OtherLinesAreNotLogLines) {
  EXPECT_TRUE(is_log_line("2026-01-31T08:15:02.123Z info rank event=start"));
  EXPECT_FALSE(is_log_line("rank 0: loading 3 MiB"));
  EXPECT_FALSE(is_log_line("2026-01-31T08:15:02.123Z something else"));
  EXPECT_FALSE(is_log_line(""));
}

TEST(LogLimit, AllowsAFixedNumberPerSecondAndCountsTheRest) {
  LogLimit limit(2);
  EXPECT_TRUE(limit.allow(0));
  EXPECT_TRUE(limit.allow(10));
  EXPECT_FALSE(limit.allow(20));
  EXPECT_FALSE(limit.allow(999'999));
  EXPECT_EQ(limit.take_suppressed(), 2);
  EXPECT_EQ(limit.take_suppressed(), 0);
  EXPECT_TRUE(limit.allow(1'000'000));
}

}  // namespace log_test
}  // namespace trireme
