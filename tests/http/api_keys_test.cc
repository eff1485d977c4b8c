#include "clients/gateway/api_keys.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>

namespace trireme::gateway {
namespace api_keys_test {

TEST(ApiKeys, NamesTheKeysOfItsLines) {
  const auto keys = ApiKeys::parse("# comment\n\nalice  key-1\r\nbob\tkey-2\nalice key-3", "f");
  ASSERT_TRUE(keys.ok()) << message_of(keys.status());
  EXPECT_EQ(keys->name_of("key-1"), "alice");
  EXPECT_EQ(keys->name_of("key-2"), "bob");
  EXPECT_EQ(keys->name_of("key-3"), "alice");
  EXPECT_EQ(keys->name_of("key-"), std::nullopt);
  EXPECT_EQ(keys->name_of("key-22"), std::nullopt);
  EXPECT_EQ(keys->name_of(""), std::nullopt);
}

TEST(ApiKeys, RefusesMalformedLinesWithoutQuotingThem) {
  for (const char* text : {"", "# only\n", "alice\n", "alice secret word\n", "a k\nb k\n"}) {
    const auto keys = ApiKeys::parse(text, "f");
    EXPECT_EQ(error_id(keys.status()), "TRI-HTTP-052") << text;
    EXPECT_THAT(message_of(keys.status()), testing::Not(testing::HasSubstr("secret")));
  }
}

TEST(ApiKeys, AFileThatOthersMayReadIsRefused) {
  const std::string path = std::filesystem::temp_directory_path() / "trireme_api_keys_test";
  std::ofstream(path) << "alice key\n";
  ::chmod(path.c_str(), 0600);
  EXPECT_TRUE(ApiKeys::load(path).ok());
  ::chmod(path.c_str(), 0640);
  EXPECT_THAT(message_of(ApiKeys::load(path).status()), testing::HasSubstr("mode 640"));
  std::filesystem::remove(path);
  EXPECT_EQ(error_id(ApiKeys::load(path).status()), "TRI-HTTP-052");
}

TEST(ApiKeys, ReadsBothHeaders) {
  EXPECT_EQ(key_of("Bearer abc", ""), "abc");
  EXPECT_EQ(key_of("bEARER   abc ", "other"), "abc");
  EXPECT_EQ(key_of("", " abc"), "abc");
  EXPECT_EQ(key_of("Basic abc", "key"), "key");
  EXPECT_EQ(key_of("Bearer ", ""), "");
}

}  // namespace api_keys_test
}  // namespace trireme::gateway
