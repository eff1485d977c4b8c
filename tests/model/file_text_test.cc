// Files that stand in for the text of a model: git-lfs pointers and other encodings are named.
#include "model/file_text.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>

namespace trireme {
namespace file_text_test {

using testing::HasSubstr;

TEST(FileText, AGitLfsPointerIsNamed) {
  for (const char* address : {"git-lfs.github.com", "hawser.github.com"}) {
    const Status status =
        check_plain_text(std::string("version https://") + address +
                             "/spec/v1\noid sha256:4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258da"
                             "aa5e2ca24d17e2393\nsize 12345\n",
                         "DIR/config.json",
                         "TRI-CONF-002");
    EXPECT_EQ(error_id(status), "TRI-CONF-002");
    EXPECT_THAT(message_of(status), HasSubstr("DIR/config.json is a git-lfs pointer"));
  }
}

TEST(FileText, AByteOrderMarkIsNamedWithItsEncoding) {
  const struct {
    const char* text;
    const char* encoding;
  } cases[] = {{"\xEF\xBB\xBF{}", "UTF-8"}, {"\xFF\xFE{", "UTF-16"}, {"\xFE\xFF{", "UTF-16"}};
  for (const auto& [text, encoding] : cases) {
    const Status status = check_plain_text(text, "t.json", "TRI-TOK-002");
    EXPECT_EQ(error_id(status), "TRI-TOK-002");
    EXPECT_THAT(message_of(status), HasSubstr("t.json starts with a byte order mark"));
    EXPECT_THAT(message_of(status), HasSubstr(encoding));
  }
}

// A pipe without a writer would block the one who opens it.
TEST(FileText, WhatIsNoFileIsNamedBeforeItIsOpened) {
  const std::filesystem::path folder = std::filesystem::path(testing::TempDir()) / "file_text";
  std::filesystem::remove_all(folder);
  std::filesystem::create_directories(folder);
  const std::string pipe = folder / "pipe";
  const std::string link = folder / "link";
  ASSERT_EQ(mkfifo(pipe.c_str(), 0600), 0);
  std::filesystem::create_symlink("gone.json", link);
  EXPECT_FALSE(is_broken_link(pipe));
  EXPECT_TRUE(is_broken_link(link));
  const struct {
    std::string path;
    const char* words;
  } cases[] = {{pipe, "pipe: it is not a regular file"},
               {link, "link is a link to gone.json, which is not there"},
               {folder, "is a folder"},
               {folder / "none", "No such file"}};
  for (const auto& [path, words] : cases) {
    const Status status = read_text_file(path, 100, "TRI-CONF-001").status();
    EXPECT_EQ(error_id(status), "TRI-CONF-001");
    EXPECT_THAT(message_of(status), HasSubstr(words));
  }
  std::filesystem::remove_all(folder);
}

TEST(FileText, OtherTextPasses) {
  for (const char* text : {"", "{}", "version https://example.org/", "\xEF\xBB", "\xEF"}) {
    EXPECT_TRUE(check_plain_text(text, "t.json", "TRI-TOK-002").ok()) << text;
  }
}

}  // namespace file_text_test
}  // namespace trireme
