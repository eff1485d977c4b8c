#include "base/utf8.h"

#include <gtest/gtest.h>

namespace trireme {
namespace utf8_test {

TEST(Utf8, TheFirstWrongByteIsFound) {
  EXPECT_EQ(first_not_utf8(""), std::nullopt);
  EXPECT_EQ(first_not_utf8("caf\xC3\xA9 \xF0\x9F\x98\x80"), std::nullopt);
  EXPECT_EQ(first_not_utf8("caf\xE9 is"), 3u);
  EXPECT_EQ(first_not_utf8("\xFF"), 0u);
  EXPECT_EQ(first_not_utf8("a\xC3"), 1u);             // ends within a character
  EXPECT_EQ(first_not_utf8("a\xED\xA0\x80"), 1u);     // half of a surrogate pair
  EXPECT_EQ(first_not_utf8("ab\xC0\x80"), 2u);        // overlong
  EXPECT_EQ(first_not_utf8("\xF4\x90\x80\x80"), 0u);  // above U+10FFFF
}

TEST(Utf8, OtherBytesAreEscapedAndKeepNamesApart) {
  EXPECT_EQ(escape_not_utf8("models/caf\xC3\xA9"), "models/caf\xC3\xA9");
  EXPECT_EQ(escape_not_utf8("m\xFF/x\xE9y"), "m\\xff/x\\xe9y");
  EXPECT_EQ(escape_not_utf8("\xE2\x82"), "\\xe2\\x82");
  EXPECT_NE(escape_not_utf8("\xFE"), escape_not_utf8("\xFF"));
  EXPECT_EQ(escape_controls("no\nsuch\x1B[31m\x7F\xFF caf\xC3\xA9"),
            "no\\x0asuch\\x1b[31m\\x7f\\xff caf\xC3\xA9");
}

TEST(Utf8, AHeadNeverEndsWithinACharacter) {
  EXPECT_EQ(utf8_head("abc", 5), "abc");
  EXPECT_EQ(utf8_head("abc", 2), "ab");
  EXPECT_EQ(utf8_head("a\xC3\xA9", 2), "a");
  EXPECT_EQ(utf8_head("a\xC3\xA9", 3), "a\xC3\xA9");
  EXPECT_EQ(utf8_head("\xF0\x9F\x98\x80", 3), "");
}

TEST(Utf8, ARefusalNamesTheByteAndTheConversion) {
  EXPECT_TRUE(check_utf8("fine", "the prompt").ok());
  EXPECT_EQ(message_of(check_utf8("caf\xE9 is", "the prompt")),
            "TRI-RUN-040: the prompt is not UTF-8 at byte 3; convert it (iconv -f latin1 -t utf8)");
  EXPECT_EQ(message_of(check_utf8("\xFF\xFEh", "the prompt")),
            "TRI-RUN-040: the prompt is not UTF-8 at byte 0; convert it (iconv -f utf16 -t utf8)");
}

TEST(Utf8, AMessageEscapesThePathThatItQuotes) {
  EXPECT_EQ(message_of(invalid("TRI-X-001", "{} is missing", std::string("m\xFF"))),
            "TRI-X-001: m\\xff is missing");
}

}  // namespace utf8_test
}  // namespace trireme
