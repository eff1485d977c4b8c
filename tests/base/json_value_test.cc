#include "base/json_value.h"

#include <gtest/gtest.h>

#include <cmath>
#include <string>
#include <vector>

namespace trireme {
namespace json_value_test {

using Kind = JsonValue::Kind;

JsonValue parsed(const std::string& text) {  // `text` outlives the value
  return JsonValue::parse(text, "TRI-TOK-002", "the test").value();
}

TEST(JsonValue, KnowsTheKindOfEveryValue) {
  const std::string text = R"( [null, true, false, -1.5, "a", [1], {"b": 2}] )";
  std::vector<Kind> kinds;
  ASSERT_TRUE(parsed(text)
                  .each([&](JsonValue value) {
                    kinds.push_back(value.kind());
                    return ok_status();
                  })
                  .ok());
  EXPECT_EQ(kinds,
            (std::vector<Kind>{Kind::kNull,
                               Kind::kBoolean,
                               Kind::kBoolean,
                               Kind::kNumber,
                               Kind::kString,
                               Kind::kArray,
                               Kind::kObject}));
}

TEST(JsonValue, UnescapesStrings) {
  const std::string text = R"("a\"\\\/\b\f\n\r\t\u00e9\u4e2d\ud83d\ude00z")";
  EXPECT_EQ(parsed(text).string(), "a\"\\/\b\f\n\r\t\xC3\xA9\xE4\xB8\xAD\xF0\x9F\x98\x80z");
  std::string out = "before ";
  parsed(text).append_string(out);
  EXPECT_TRUE(out.starts_with("before a\""));
}

TEST(JsonValue, IntegersAreExactAndOtherNumbersAreNotIntegers) {
  const auto integer = [](const std::string& text) {
    int64_t value = 0;
    return parsed(text).integer(value) ? std::to_string(value) : "none";
  };
  EXPECT_EQ(integer("0"), "0");
  EXPECT_EQ(integer("-9223372036854775808"), "-9223372036854775808");
  EXPECT_EQ(integer("9223372036854775807"), "9223372036854775807");
  EXPECT_EQ(integer("9223372036854775808"), "none");
  EXPECT_EQ(integer("1.0"), "none");
  EXPECT_EQ(integer("1e3"), "none");
  EXPECT_EQ(parsed("-2.5e2").number(), -250);
}

TEST(JsonValue, WalksMembersInTheOrderOfTheText) {
  const std::string text = R"({ "a" : [1, {"x": "]}"}], "\u0062": "\"", "c":{} })";
  std::vector<std::string> seen;
  ASSERT_TRUE(parsed(text)
                  .each_member([&](std::string_view name, JsonValue value) {
                    seen.push_back(std::string(name) + "=" + std::string(value.text()));
                    return ok_status();
                  })
                  .ok());
  EXPECT_EQ(seen, (std::vector<std::string>{R"(a=[1, {"x": "]}"}])", R"(b="\"")", "c={}"}));
}

TEST(JsonValue, AWalkStopsAtTheFirstError) {
  const std::string text = "[1,2,3]";
  int visits = 0;
  const Status status = parsed(text).each([&](JsonValue) {
    return ++visits == 2 ? invalid("TRI-TOK-003", "the second") : ok_status();
  });
  EXPECT_EQ(error_id(status), "TRI-TOK-003");
  EXPECT_EQ(visits, 2);
}

TEST(JsonValue, CountsElementsAndMembers) {
  EXPECT_EQ(parsed("[]").count(), 0u);
  EXPECT_EQ(parsed("[ [1,2], \"a,b\", {\"c\":[3]} ]").count(), 3u);
  EXPECT_EQ(parsed("{}").count(), 0u);
  EXPECT_EQ(parsed(R"({"a":1,"b":[1,2],"c":"}"})").count(), 3u);
}

TEST(JsonValue, KnowsTheFirstElement) {
  EXPECT_FALSE(parsed("[ ]").first().has_value());
  const std::string text = "[ [1], 2]";
  EXPECT_EQ(parsed(text).first()->text(), "[1]");
}

TEST(JsonValue, FindsTheLastMemberOfAName) {
  const std::string text = R"({"a":1,"b":2,"a":3})";
  EXPECT_EQ(parsed(text).find("a")->text(), "3");
  EXPECT_EQ(parsed(text).find("b")->text(), "2");
  EXPECT_FALSE(parsed(text).find("c").has_value());
}

TEST(JsonValue, HalfOfASurrogatePairIsTheReplacementCharacter) {
  const auto string = [](const std::string& text) {
    return JsonValue::parse(text, "TRI-CONF-002", "a file", JsonNumbers::kPython)->string();
  };
  EXPECT_EQ(string(R"("a\ud83d")"), "a\xEF\xBF\xBD");
  EXPECT_EQ(string(R"("\ud83d\u0041")"),
            "\xEF\xBF\xBD"
            "A");
  EXPECT_EQ(string(R"("\ud83d\n")"), "\xEF\xBF\xBD\n");
  EXPECT_EQ(string(R"("\udc00\ud83d\ude00")"), "\xEF\xBF\xBD\xF0\x9F\x98\x80");
}

TEST(JsonValue, WalksTheLastMemberOfEachNameInTheOrderOfTheText) {
  const std::string text = R"({"a":1,"b":2,"\u0061":3,"c":4,"c":5})";
  std::string seen;
  ASSERT_TRUE(parsed(text)
                  .each_last_member([&](std::string_view name, JsonValue value) {
                    seen += std::string(name) + std::string(value.text());
                    return ok_status();
                  })
                  .ok());
  EXPECT_EQ(seen, "b2a3c5");
}

TEST(JsonValue, NamesADuplicateMember) {
  EXPECT_EQ(parsed(R"({"a":1,"b":2})").duplicate_name(), std::nullopt);
  EXPECT_EQ(parsed("{}").duplicate_name(), std::nullopt);
  EXPECT_EQ(parsed(R"({"a":{"b":1},"b":2})").duplicate_name(), std::nullopt);
  const std::string escaped = R"({"z":0,"a":1,"b":2,"\u0061":3})";
  EXPECT_EQ(parsed(escaped).duplicate_name(), "a");
}

TEST(JsonValue, ReadsTheNumbersThatPythonWrites) {
  const std::string text = R"({"a":NaN,"b":[Infinity,-Infinity],"c":1e999,"d":-1e-999,"e":2})";
  const JsonValue root =
      JsonValue::parse(text, "TRI-CONF-002", "a file", JsonNumbers::kPython).value();
  EXPECT_TRUE(root.find("a")->is(JsonValue::Kind::kNumber));
  EXPECT_TRUE(std::isnan(root.find("a")->number()));
  int64_t integer = 0;
  EXPECT_FALSE(root.find("a")->integer(integer));
  std::vector<double> numbers;
  ASSERT_TRUE(root.find("b")
                  ->each([&](JsonValue value) {
                    EXPECT_FALSE(value.integer(integer));
                    numbers.push_back(value.number());
                    return ok_status();
                  })
                  .ok());
  EXPECT_EQ(numbers, (std::vector<double>{INFINITY, -INFINITY}));
  EXPECT_EQ(root.find("c")->number(), INFINITY);
  EXPECT_EQ(root.find("d")->number(), 0);
  EXPECT_EQ(root.find("e")->text(), "2");
}

TEST(JsonValue, TextThatIsNotJsonIsRefusedWithTheIdOfTheCaller) {
  EXPECT_EQ(error_id(JsonValue::parse("{", "TRI-LOAD-001", "a file").status()), "TRI-LOAD-001");
}

}  // namespace json_value_test
}  // namespace trireme
