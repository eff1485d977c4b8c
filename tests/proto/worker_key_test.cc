#include "proto/worker_key.h"

#include <gtest/gtest.h>

namespace trireme {
namespace worker_key_test {

std::string every_byte_from(int first) {  // 32 bytes
  std::string bytes;
  for (int i = 0; i < 32; ++i) bytes += static_cast<char>(first + 7 * i);
  return bytes;
}

const WorkerKey kKey{every_byte_from(0), every_byte_from(128), every_byte_from(250)};

TEST(WorkerKey, AKeyRoundTripsThroughText) {
  const std::string hex = to_hex(kKey);
  EXPECT_EQ(hex.size(), 192u);
  EXPECT_TRUE(hex.starts_with("00070e15"));
  for (const std::string end : {"", "\n", " \n\n"}) {
    const StatusOr<WorkerKey> key = parse_worker_key(hex + end);
    ASSERT_TRUE(key.ok()) << key.status();
    EXPECT_EQ(key->server_public, kKey.server_public);
    EXPECT_EQ(key->client_public, kKey.client_public);
    EXPECT_EQ(key->client_secret, kKey.client_secret);
  }
}

TEST(WorkerKey, TextThatIsNotAKeyIsRefusedWithoutQuotingIt) {
  EXPECT_EQ(error_id(parse_worker_key("").status()), "TRI-NET-014");
  EXPECT_EQ(error_id(parse_worker_key(std::string(191, 'a')).status()), "TRI-NET-014");
  EXPECT_EQ(error_id(parse_worker_key(std::string(193, 'a')).status()), "TRI-NET-014");
  const auto wrong = parse_worker_key(std::string(192, 'g'));
  EXPECT_EQ(error_id(wrong.status()), "TRI-NET-014");
  EXPECT_EQ(message_of(wrong.status()).find("ggg"), std::string::npos);
}

TEST(WorkerKey, OneBadDigitAnywhereIsRefused) {
  for (const size_t at : {0, 1, 100, 191}) {
    for (const char bad : {'A', 'g', '/', ':', '\0', ' '}) {
      std::string hex = to_hex(kKey);
      hex[at] = bad;
      EXPECT_EQ(error_id(parse_worker_key(hex).status()), "TRI-NET-014") << at << bad;
    }
  }
}

}  // namespace worker_key_test
}  // namespace trireme
