#include "base/text.h"

#include <gtest/gtest.h>

namespace trireme {
namespace text_test {

TEST(Text, FormatsArgumentsInTheirOrder) {
  EXPECT_EQ(format_text("rank {} of {}", 1, 4), "rank 1 of 4");
  EXPECT_EQ(format_text("{:g} and {:.1f}, {:d}", 0.5, 2.25f, true), "0.5 and 2.2, 1");
  EXPECT_EQ(format_text("{{{}}}", "a"), "{a}");
  EXPECT_EQ(format_text("no argument"), "no argument");
}

TEST(Text, FormatsNumbers) {
  EXPECT_EQ(format_number(int64_t{-3}), "-3");
  EXPECT_EQ(format_number(0.1), "0.1");
  EXPECT_EQ(format_number(1234567.0), "1.23457e+06");
}

TEST(Text, JoinsWithASeparator) {
  EXPECT_EQ(join(std::vector<int>{}), "");
  EXPECT_EQ(join(std::vector<int>{1}), "1");
  EXPECT_EQ(join(std::vector<int>{1, 2, 3}), "1, 2, 3");
  EXPECT_EQ(join(std::vector<std::string>{"a", "", "b"}, "/"), "a//b");
}

TEST(Text, JoinsChoicesWithOr) {
  EXPECT_EQ(join_choices(std::vector<int>{}), "");
  EXPECT_EQ(join_choices(std::vector<int>{1}), "1");
  EXPECT_EQ(join_choices(std::vector<int>{1, 2}), "1 or 2");
  EXPECT_EQ(join_choices(std::vector<int>{1, 2, 4, 8}), "1, 2, 4 or 8");
}

TEST(Text, SplitsAndKeepsEmptyParts) {
  EXPECT_EQ(split("1,,4", ','), (std::vector<std::string>{"1", "", "4"}));
  EXPECT_EQ(split("", ','), (std::vector<std::string>{""}));
  EXPECT_EQ(split("a,", ','), (std::vector<std::string>{"a", ""}));
}

TEST(Text, TrimsBothEnds) {
  EXPECT_EQ(trimmed(" \ta b\r"), "a b");
  EXPECT_EQ(trimmed(" \t\r"), "");
  EXPECT_EQ(trimmed(""), "");
  EXPECT_EQ(trimmed("\ta\r", "\t"), "a\r");
}

TEST(Text, LowersTheLettersOfAsciiAlone) {
  EXPECT_EQ(ascii_lower("AZ az-09@[\xC3\x84"), "az az-09@[\xC3\x84");
}

TEST(Text, FormatsBytesWithThreeDigitsAndABinaryUnit) {
  EXPECT_EQ(format_bytes(0), "0 B");
  EXPECT_EQ(format_bytes(512), "512 B");
  EXPECT_EQ(format_bytes(1024), "1.00 KiB");
  EXPECT_EQ(format_bytes(17.1 * 1024 * 1024), "17.1 MiB");
  EXPECT_EQ(format_bytes(345.0 * (int64_t{1} << 30)), "345 GiB");
  EXPECT_EQ(format_bytes(5000.0 * (int64_t{1} << 40)), "5000 TiB");
}

TEST(Text, FormatsSecondsWithTheUnitThatFits) {
  EXPECT_EQ(format_seconds(0), "0 ms");
  EXPECT_EQ(format_seconds(0.1304), "130 ms");
  EXPECT_EQ(format_seconds(0.9996), "1.0 s");
  EXPECT_EQ(format_seconds(4.2), "4.2 s");
  EXPECT_EQ(format_seconds(59.4), "59 s");
  EXPECT_EQ(format_seconds(59.6), "1 min 0 s");
  EXPECT_EQ(format_seconds(200), "3 min 20 s");
  EXPECT_EQ(format_seconds(3600 + 119), "1 h 1 min");
}

TEST(Text, FindsTheNearestWordWithinAThirdOfItsLength) {
  EXPECT_EQ(nearest("max-tokenz", {"max-tokens", "min-tokens", "seed"}), "max-tokens");
  EXPECT_EQ(nearest("sed", {"max-tokens", "seed"}), "seed");
  EXPECT_EQ(nearest("zzzzzz", {"max-tokens", "seed"}), "");
  EXPECT_EQ(nearest("word", {}), "");
}

}  // namespace text_test
}  // namespace trireme
