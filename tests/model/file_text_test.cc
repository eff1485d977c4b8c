// Files that stand in for the text of a model: git-lfs pointers and other encodings are named.
#include "model/file_text.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace trireme {
namespace {

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

TEST(FileText, OtherTextPasses) {
  for (const char* text : {"", "{}", "version https://example.org/", "\xEF\xBB", "\xEF"}) {
    EXPECT_TRUE(check_plain_text(text, "t.json", "TRI-TOK-002").ok()) << text;
  }
}

}  // namespace
}  // namespace trireme
