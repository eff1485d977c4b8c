#include "launch/state_folder.h"

#include <gtest/gtest.h>
#include <stdlib.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>

namespace trireme {
namespace {

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
      StateFolder inner = StateFolder::make("", /*is_private=*/true).value();
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
  for (const bool is_private : {false, true}) {
    const std::string path = folder_ + "/a/b";
    EXPECT_EQ(StateFolder::make(path, is_private).value().path(), path);
    EXPECT_TRUE(fs::is_directory(path));
  }
}

TEST_F(StateFolderTest, TheDefaultIsBelowTheStateHomeOfTheUser) {
  const std::string path = folder_ + "/trireme";
  EXPECT_EQ(StateFolder::make("", /*is_private=*/false).value().path(), path);
  EXPECT_TRUE(fs::is_directory(path)) << "and is kept";
}

TEST_F(StateFolderTest, AFolderThatCannotBeMadeIsRejected) {
  std::ofstream(folder_ + "/file") << "";
  EXPECT_EQ(error_id(StateFolder::make(folder_ + "/file/below", false).status()), "TRI-UP-016");
  ASSERT_EQ(::setenv("TMPDIR", (folder_ + "/missing").c_str(), 1), 0);
  EXPECT_EQ(error_id(StateFolder::make("", true).status()), "TRI-UP-015");
}

}  // namespace
}  // namespace trireme
