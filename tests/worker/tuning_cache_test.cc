// The cache file is complete or absent, and a failed write changes nothing.
#include "worker/tuning_cache.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

namespace trireme {
namespace tuning_cache_test {

class CacheFiles : public testing::Test {
 protected:
  void SetUp() override { std::filesystem::remove_all(folder_); }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  size_t num_files() const {
    size_t count = 0;
    for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator(folder_)) ++count;
    return count;
  }

  const std::string folder_ = testing::TempDir() + "kept_file_test";
};

TEST_F(CacheFiles, ReturnTheLastWrittenContent) {
  const TuningCache file(folder_ + "/deep/er", "name.txt");
  EXPECT_EQ(file.read(), "");
  ASSERT_TRUE(file.write("first").ok());
  ASSERT_TRUE(file.write(std::string("\0sec\nond", 8)).ok());
  EXPECT_EQ(file.read(), std::string("\0sec\nond", 8));
  EXPECT_EQ(file.path(), folder_ + "/deep/er/name.txt");
}

TEST_F(CacheFiles, LeaveNoTemporaryFiles) {
  const TuningCache file(folder_, "name.txt");
  ASSERT_TRUE(file.write("first").ok());
  ASSERT_TRUE(file.write("second").ok());
  EXPECT_EQ(num_files(), 1u);
}

TEST_F(CacheFiles, AreNotWrittenWithoutAFolder) {
  const TuningCache file("", "name.txt");
  EXPECT_TRUE(file.write("bytes").ok());
  EXPECT_EQ(file.read(), "");
}

TEST_F(CacheFiles, ThatCannotBeWrittenAreNamed) {
  std::ofstream(folder_) << "a file";  // where the folder should be
  const TuningCache in_file(folder_, "name.txt");
  EXPECT_EQ(error_id(in_file.write("bytes")), "TRI-CUDA-020");
  EXPECT_NE(message_of(in_file.write("bytes")).find(in_file.path()), std::string::npos);
  EXPECT_EQ(in_file.read(), "");
  std::filesystem::remove(folder_);

  std::filesystem::create_directories(folder_ + "/name.txt/full");
  const TuningCache over_folder(folder_, "name.txt");
  EXPECT_EQ(error_id(over_folder.write("bytes")), "TRI-CUDA-020");
  EXPECT_EQ(over_folder.read(), "");
  EXPECT_EQ(num_files(), 1u);  // no part of it is left
}

TEST_F(CacheFiles, BeyondTheMaximumSizeAreNeitherWrittenNorRead) {
  const TuningCache file(folder_, "name.txt");
  ASSERT_TRUE(file.write(std::string(1 << 20, 'x')).ok());
  EXPECT_EQ(file.read().size(), size_t{1} << 20);
  EXPECT_EQ(error_id(file.write(std::string((1 << 20) + 1, 'y'))), "TRI-CUDA-020");
  EXPECT_EQ(file.read(), std::string(1 << 20, 'x')) << "what stood there still does";
  std::ofstream(file.path(), std::ios::app) << "more";
  EXPECT_EQ(file.read(), "");
}

}  // namespace tuning_cache_test
}  // namespace trireme
