#include "base/json_check.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace trireme {
namespace json_check_test {

std::string message(std::string_view text) {
  const Status status = check_json(text, "TRI-TOK-002", "the file");
  return status.ok() ? "" : message_of(status);
}

std::string nested(size_t depth) { return std::string(depth, '[') + std::string(depth, ']'); }

TEST(JsonCheck, TakesEveryKindOfValue) {
  for (const std::string text : {"null",
                                 " true ",
                                 "false\n",
                                 "0",
                                 "-0",
                                 "-12.5e+3",
                                 "1E-2",
                                 "\"\"",
                                 R"("\"\\\/\b\f\n\r\t\u00e9")",
                                 "\"\xC3\xA9\xF0\x9F\x98\x80\"",
                                 R"("\ud83d\ude00")",
                                 "[]",
                                 "[ 1 , [ ] ]",
                                 "{}",
                                 R"({"a":{"b":[null]},"a":1})"}) {
    EXPECT_EQ(message(text), "") << text;
  }
}

TEST(JsonCheck, NamesTheSubjectTheByteAndTheReason) {
  EXPECT_EQ(message("[1 2]"),
            "TRI-TOK-002: the file is not JSON at byte 3 of 5: expected ',' or ']'; fetch the file "
            "again");
}

TEST(JsonCheck, RefusesBrokenStructure) {
  for (const std::string text : {"",
                                 " ",
                                 "[",
                                 "[1,",
                                 "[1,]",
                                 "{",
                                 "{1:2}",
                                 "{\"a\"}",
                                 "{\"a\":}",
                                 "{\"a\":1,}",
                                 "{\"a\" 1}",
                                 "1 1",
                                 "]",
                                 "\xEF\xBB\xBF{}",
                                 "nul",
                                 "True"}) {
    EXPECT_NE(message(text), "") << text;
  }
}

TEST(JsonCheck, RefusesNumbersOutsideTheGrammarOrTheRangeOfADouble) {
  for (const std::string text :
       {"01", "-", "+1", ".5", "1.", "1e", "1e+", "0x1", "NaN", "Infinity", "1e999", "-1e999"}) {
    EXPECT_NE(message(text), "") << text;
  }
}

TEST(JsonCheck, TakesWhatPythonWritesWhereTheCallerSaysSo) {
  const auto takes = [](const std::string& text) {
    return check_json(text, "TRI-CONF-002", "the file", JsonNumbers::kPython).ok();
  };
  for (const std::string text : {"NaN",
                                 "Infinity",
                                 "-Infinity",
                                 "[0.0, Infinity]",
                                 "{\"a\":NaN,\"b\":-Infinity}",
                                 "1e999",
                                 "-1e-999",
                                 R"("\ud83d")",
                                 R"("\ud83d\u0041")",
                                 R"(["\udc00\ud83d\ude00"])"}) {
    EXPECT_TRUE(takes(text)) << text;
    EXPECT_NE(message(text), "") << text;
  }
  for (const std::string text : {"nan",
                                 "inf",
                                 "-NaN",
                                 "+Infinity",
                                 "Infinit",
                                 "NaNs",
                                 "--Infinity",
                                 "NaN1",
                                 "01",
                                 "1.",
                                 R"("\ud83d\u00")",
                                 R"("\ud83")"}) {
    EXPECT_FALSE(takes(text)) << text;
  }
}

TEST(JsonCheck, TakesNumbersBeyondADoubleWhereTheCallerChecksRanges) {
  const auto takes = [](const std::string& text) {
    return check_json(text, "TRI-RUN-021", "the line", JsonNumbers::kAnySize).ok();
  };
  for (const std::string text : {"1e999", "-1e999", "1e-999"}) EXPECT_TRUE(takes(text)) << text;
  for (const std::string text : {"NaN", "Infinity", "-Infinity", "1e", "01"}) {
    EXPECT_FALSE(takes(text)) << text;
  }
}

TEST(JsonCheck, RefusesStringsThatAreNotUtf8OrNotEscaped) {
  for (const std::string text : {"\"",
                                 "\"\\",
                                 "\"a\nb\"",
                                 "\"\x01\"",
                                 "\"\xFF\"",
                                 "\"\xC0\x80\"",
                                 "\"\xED\xA0\x80\"",
                                 R"("\x")",
                                 R"("\u12")",
                                 R"("\u+123")",
                                 R"("\ud800")",
                                 R"("\ud800\u0041")",
                                 R"("\udc00")"}) {
    EXPECT_NE(message(text), "") << text;
  }
}

TEST(JsonCheck, BoundsTheDepthAt64Levels) {
  EXPECT_EQ(message(nested(65)), "");  // 64 levels below the outermost
  EXPECT_NE(message(nested(66)), "");
  EXPECT_NE(message(std::string(1'000'000, '[')), "");
}

TEST(JsonCheck, RefusesEveryPrefixOfAnObject) {
  const std::string text = R"({"a":[1.5e3,"\u00e9\ud83d\ude00",true,null],"b":{}})";
  EXPECT_EQ(message(text), "");
  for (size_t size = 0; size < text.size(); ++size) {
    EXPECT_NE(message(std::string_view(text).substr(0, size)), "") << size;
  }
}

}  // namespace json_check_test
}  // namespace trireme
