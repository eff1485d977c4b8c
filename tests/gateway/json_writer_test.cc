// JSON of any bytes stays JSON in one line, and arguments that were cut stay an object.
#include "clients/gateway/api/json_writer.h"

#include <gtest/gtest.h>

#include <limits>
#include <nlohmann/json.hpp>
#include <random>

#include "base/utf8.h"
#include "clients/gateway/api/answers/partial_json.h"

namespace trireme::gateway {
namespace json_writer_test {

using nlohmann::json;

std::string json_string(std::string_view text) {
  std::string out;
  append_json_string(text, out);
  return out;
}

TEST(JsonWriter, StringsReadBackAsTheyWere) {
  std::string every;
  for (char32_t code = 0; code < 0x3000; ++code) {
    if (code < 0xD800 || code > 0xDFFF) append_utf8(code, every);
  }
  append_utf8(0x1F600, every);
  EXPECT_EQ(json::parse(json_string(every)).get<std::string>(), every);
  EXPECT_EQ(json_string("a\n\"\\\x01"), R"("a\n\"\\\u0001")");
}

// Readers of event streams break lines at these characters.
TEST(JsonWriter, NoCharacterBreaksALine) {
  EXPECT_EQ(json_string("\xC2\x85\xE2\x80\xA8\xE2\x80\xA9\x0B\x0C\x1C\r"),
            R"("\u0085\u2028\u2029\u000b\u000c\u001c\r")");
}

TEST(JsonWriter, BytesThatAreNoTextAreReplaced) {
  std::mt19937_64 random(7);
  for (int i = 0; i < 2000; ++i) {
    std::string bytes(random() % 40, '\0');
    for (char& byte : bytes) byte = static_cast<char>(random());
    const std::string text = json_string(bytes);
    ASSERT_TRUE(json::accept(text)) << text;
    EXPECT_EQ(json::parse(text).get<std::string>(), to_utf8_lossy(bytes));
  }
}

TEST(JsonWriter, CommasStandBetweenValues) {
  std::string out;
  JsonWriter writer(out);
  writer.open_object().member("a", 1).member("b", true).key("c").open_array();
  writer.integer(1).null().open_object().close_object().string("x").close_array();
  writer.text_or_null("d", "").text_key("e\"").number(-0.5F).close_object();
  EXPECT_EQ(out, R"({"a":1,"b":true,"c":[1,null,{},"x"],"d":null,"e\"":-0.5})");
}

TEST(JsonWriter, InfinityIsANumber) {
  std::string out;
  JsonWriter(out).number(-std::numeric_limits<float>::infinity());
  EXPECT_EQ(out, "-9999");
}

TEST(WholeObject, KeepsTheMembersThatAreWhole) {
  EXPECT_EQ(whole_object(R"({"a": 1})"), R"({"a": 1})");
  EXPECT_EQ(whole_object(""), "{}");
  EXPECT_EQ(whole_object("[1]"), "{}");
  EXPECT_EQ(whole_object(R"({"a)"), "{}");
  EXPECT_EQ(whole_object(R"({"a":1,"b)"), R"({"a":1})");
  EXPECT_EQ(whole_object(R"({"a":"x,\"y","b":{"c":[1,{"d":2},)"),
            R"({"a":"x,\"y","b":{"c":[1,{"d":2}]}})");
}

// Every cut of an object gives an object, and a longer cut never has fewer members.
TEST(WholeObject, EveryCutIsAnObject) {
  const std::string whole =
      R"({"text":"a \"b\" \\ {[,","list":[1,2.5e3,true,null,["x",{}]],"o":{"p":{"q":-1}}})";
  size_t members = 0;
  for (size_t length = 0; length <= whole.size(); ++length) {
    const json cut = json::parse(whole_object(whole.substr(0, length)));
    ASSERT_TRUE(cut.is_object());
    EXPECT_GE(cut.size(), members);
    members = cut.size();
  }
  EXPECT_EQ(members, 3U);
  EXPECT_EQ(whole_object("{\"a\":" + std::string(1000000, '[')), "{}");
}

}  // namespace json_writer_test
}  // namespace trireme::gateway
