#include "model/checkpoint/tokenizer_files.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

namespace trireme {
namespace tokenizer_files_test {

namespace fs = std::filesystem;
using testing::AllOf;
using testing::HasSubstr;

class Files : public testing::Test {
 protected:
  void SetUp() override { fs::create_directories(dir_); }
  void TearDown() override { fs::remove_all(dir_); }
  void make(const std::string& name) const { std::ofstream(dir_ + "/" + name) << "x"; }

  const std::string dir_ = testing::TempDir() + "/tokenizer_files_" +
                           testing::UnitTest::GetInstance()->current_test_info()->name() +
                           "_\xFF";  // any bytes
};

TEST_F(Files, ATokenizerJsonIsFoundAndNothingElseMatters) {
  make("tokenizer.model");
  make("tokenizer.json");
  const TokenizerFiles files = find_tokenizer_files(dir_);
  EXPECT_TRUE(files.has_json);
  EXPECT_FALSE(files.has_others);
  EXPECT_EQ(files.missing, "");
}

TEST_F(Files, AFolderWithoutAnyTokenizerHasNothingToSay) {
  make("config.json");
  const TokenizerFiles files = find_tokenizer_files(dir_);
  EXPECT_FALSE(files.has_json);
  EXPECT_FALSE(files.has_others);
  EXPECT_EQ(files.missing, "it has no tokenizer.json");
}

TEST_F(Files, VocabulariesOfOtherLibrariesAreNamedWithTheRemedy) {
  for (const char* name : {"tokenizer.model",
                           "spiece.model",
                           "vocab.json",
                           "vocab.txt",
                           "tekken.json",
                           "tiktoken.model"}) {
    make(name);
    const TokenizerFiles files = find_tokenizer_files(dir_);
    EXPECT_FALSE(files.has_json);
    EXPECT_TRUE(files.has_others);
    EXPECT_THAT(files.missing,
                AllOf(HasSubstr(name), HasSubstr(" is not read"), HasSubstr("save_pretrained")));
    fs::remove(dir_ + "/" + name);
  }
  make("merges.txt");
  make("vocab.json");
  EXPECT_THAT(find_tokenizer_files(dir_).missing, HasSubstr("vocab.json, merges.txt are not read"));
}

TEST_F(Files, ALinkThatLeadsNowhereIsNamedBeforeAllElse) {
  make("tokenizer.model");
  fs::create_symlink("../blobs/\xFF", dir_ + "/tokenizer.json");
  const TokenizerFiles files = find_tokenizer_files(dir_);
  EXPECT_FALSE(files.has_json);
  EXPECT_TRUE(files.has_others);
  EXPECT_THAT(files.missing,
              AllOf(HasSubstr("tokenizer.json is a link that leads nowhere"),
                    HasSubstr("../blobs/\xEF\xBF\xBD is not there")));
}

}  // namespace tokenizer_files_test
}  // namespace trireme
