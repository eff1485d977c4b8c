#include "launch/process/state_folder.h"

#include <gtest/gtest.h>
#include <stdlib.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <optional>
#include <string>

#include "base/environment.h"
#include "launch/process/temporary_folder.h"

namespace trireme {
namespace state_folder_test {

namespace fs = std::filesystem;

class StateFolderTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string path = testing::TempDir() + "state-XXXXXX";
    ASSERT_NE(::mkdtemp(path.data()), nullptr);
    folder_ = path;
    ASSERT_EQ(::setenv("TMPDIR", folder_.c_str(), 1), 0);
    ASSERT_EQ(::setenv("XDG_STATE_HOME", folder_.c_str(), 1), 0);
  }
  void TearDown() override {
    ::unsetenv("TMPDIR");
    ::unsetenv("XDG_STATE_HOME");
    fs::remove_all(folder_);
  }

  std::string folder_;
};

TEST_F(StateFolderTest, AFolderOfAPrivateClusterIsRemovedWithItsContents) {
  std::string path;
  {
    StateFolder outer;
    {
      StateFolder inner = StateFolder::make("", "").value();
      path = inner.path();
      outer = std::move(inner);
    }
    EXPECT_TRUE(path.starts_with(folder_ + "/trireme-")) << path;
    std::ofstream(path + "/worker.key") << "key";
    EXPECT_TRUE(fs::exists(path)) << "a moved folder outlives its first owner";
  }
  EXPECT_FALSE(fs::exists(path));
}

TEST_F(StateFolderTest, ANamedFolderIsMadeAndKept) {
  for (const std::string name : {"", "demo-8900"}) {
    const std::string path = folder_ + "/a/b";
    EXPECT_EQ(StateFolder::make(path, name).value().path(), path);
    EXPECT_TRUE(fs::is_directory(path));
  }
}

TEST_F(StateFolderTest, TheDefaultIsBelowTheStateHomeOfTheUser) {
  const std::string path = folder_ + "/trireme/demo-8900";
  EXPECT_EQ(StateFolder::make("", "demo-8900").value().path(), path);
  EXPECT_TRUE(fs::is_directory(path)) << "and is kept";
}

// Starts without --state, with HOME and XDG_STATE_HOME of this test.
class NoStateHome : public StateFolderTest {
 protected:
  NoStateHome() : home_(environment("HOME")) {}
  ~NoStateHome() override {
    if (home_) ::setenv("HOME", home_->c_str(), 1);
  }
  void expect_temporary(const std::string& words) {
    std::string path;
    {
      const StateFolder folder = StateFolder::make("", "demo-8900").value();
      path = folder.path();
      EXPECT_TRUE(path.starts_with(folder_ + "/trireme-")) << path;
      EXPECT_NE(folder.note().find(words), std::string::npos) << folder.note();
      EXPECT_NE(folder.note().find(path), std::string::npos) << folder.note();
    }
    EXPECT_FALSE(fs::exists(path)) << "it is removed at the end";
  }

  const std::optional<std::string> home_;
};

TEST_F(NoStateHome, WithoutAUsableHomeATemporaryFolderStandsInAndIsReported) {
  ::unsetenv("XDG_STATE_HOME");
  ::unsetenv("HOME");
  expect_temporary("HOME is not set");
  for (const std::string home : {"", "relative/home"}) {
    ASSERT_EQ(::setenv("HOME", home.c_str(), 1), 0);
    expect_temporary(home.empty() ? "HOME is not set"
                                  : "HOME is relative/home, which is not an absolute path");
  }
  std::ofstream(folder_ + "/file") << "";
  ASSERT_EQ(::setenv("HOME", (folder_ + "/file").c_str(), 1), 0);
  expect_temporary(
      folder_ + "/file/.local/state/trireme/demo-8900 cannot be made or written: Not a directory");
}

TEST_F(NoStateHome, ARelativeStateHomeIsIgnored) {
  ASSERT_EQ(::setenv("XDG_STATE_HOME", "relative", 1), 0);
  ASSERT_EQ(::setenv("HOME", folder_.c_str(), 1), 0);
  const StateFolder folder = StateFolder::make("", "demo-8900").value();
  EXPECT_EQ(folder.path(), folder_ + "/.local/state/trireme/demo-8900");
  EXPECT_EQ(folder.note(), "");
}

TEST_F(NoStateHome, AFolderThatExistsAndCannotBeWrittenIsNotUsed) {
  if (::geteuid() == 0) GTEST_SKIP() << "root may write everywhere";
  ASSERT_EQ(::setenv("XDG_STATE_HOME", folder_.c_str(), 1), 0);
  const std::string path = folder_ + "/trireme/demo-8900";
  fs::create_directories(path);
  fs::permissions(path, fs::perms::owner_read | fs::perms::owner_exec);
  expect_temporary("Permission denied");
}

TEST_F(StateFolderTest, AnEmptyTmpdirIsAsIfItWereNotSet) {
  ASSERT_EQ(::setenv("TMPDIR", "", 1), 0);
  EXPECT_EQ(temporary_folder(), "/tmp");
  EXPECT_TRUE(check_temporary_folder().ok());
  const StateFolder folder = StateFolder::make("", "").value();
  EXPECT_TRUE(folder.path().starts_with("/tmp/trireme-")) << folder.path();
}

TEST_F(StateFolderTest, ARelativeTmpdirIsMadeAbsoluteForTheProcessesThatAreStarted) {
  ASSERT_EQ(::setenv("TMPDIR", "a/../b", 1), 0);
  EXPECT_EQ(temporary_folder(), (fs::current_path() / "b").string());
}

TEST_F(StateFolderTest, ATmpdirThatIsTooLongForMpiIsReplacedForMpiOnly) {
  const std::string longest = "/" + std::string(kMaxMpiTemporaryPath - 1, 'x');
  ASSERT_EQ(::setenv("TMPDIR", longest.c_str(), 1), 0);
  EXPECT_EQ(mpi_temporary_folder(), longest);
  ASSERT_EQ(::setenv("TMPDIR", (longest + "x").c_str(), 1), 0);
  EXPECT_EQ(mpi_temporary_folder(), "/tmp");
  EXPECT_EQ(temporary_folder(), longest + "x");
}

TEST_F(StateFolderTest, AFolderThatCannotBeMadeIsRejected) {
  std::ofstream(folder_ + "/file") << "";
  EXPECT_EQ(error_id(StateFolder::make(folder_ + "/file/below", "demo-8900").status()),
            "TRI-UP-016");
  ASSERT_EQ(::setenv("TMPDIR", (folder_ + "/missing").c_str(), 1), 0);
  EXPECT_EQ(error_id(StateFolder::make("", "").status()), "TRI-UP-015");
}

}  // namespace state_folder_test
}  // namespace trireme
