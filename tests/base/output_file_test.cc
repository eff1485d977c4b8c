#include "base/output_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <sstream>

namespace trireme {
namespace output_file_test {

namespace fs = std::filesystem;

class OutputFile : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = testing::TempDir() + "/output-XXXXXX";
    ASSERT_NE(::mkdtemp(folder_.data()), nullptr);
  }
  void TearDown() override { fs::remove_all(folder_); }
  std::string check(const std::string& path) {
    return message_of(check_writable(path, "TRI-X-001", "the trace"));
  }

  std::string folder_;
};

TEST_F(OutputFile, ANewFileIsNotLeftBehind) {
  EXPECT_EQ(check(folder_ + "/new"), "");
  EXPECT_FALSE(fs::exists(folder_ + "/new"));
}

TEST_F(OutputFile, AnExistingFileKeepsItsContent) {
  std::ofstream(folder_ + "/old") << "content";
  EXPECT_EQ(check(folder_ + "/old"), "");
  std::ostringstream text;
  text << std::ifstream(folder_ + "/old").rdbuf();
  EXPECT_EQ(text.str(), "content");
}

TEST_F(OutputFile, AFolderAndAMissingFolderAreRefused) {
  EXPECT_THAT(check(folder_), testing::HasSubstr("cannot write the trace " + folder_ + ": "));
  EXPECT_THAT(check(folder_ + "/none/file"), testing::StartsWith("TRI-X-001: "));
}

TEST_F(OutputFile, APipeWithoutAReaderDoesNotBlock) {
  ASSERT_EQ(::mkfifo((folder_ + "/pipe").c_str(), 0600), 0);
  EXPECT_EQ(check(folder_ + "/pipe"), "");
  EXPECT_EQ(check("/dev/null"), "");
}

}  // namespace output_file_test
}  // namespace trireme
