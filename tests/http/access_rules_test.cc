#include "clients/gateway/access_rules.h"

#include <gtest/gtest.h>

namespace trireme::gateway {
namespace access_rules_test {

HttpRequest request_with(const std::string& host, const std::string& origin = "") {
  HttpRequest request;
  request.headers.push_back({"host", host});
  if (!origin.empty()) request.headers.push_back({"origin", origin});
  return request;
}

TEST(AccessRules, OnLoopbackOnlyItsOwnNamesAreHosts) {
  AccessRules rules;
  rules.allowed_hosts = {"Box.lan"};
  for (const char* host : {"localhost", "LOCALHOST:8000", "127.0.0.1:1", "[::1]:8000", "box.lan"}) {
    EXPECT_TRUE(rules.check(request_with(host)).ok()) << host;
  }
  for (const char* host :
       {"evil.example", "localhost.evil.example", "127.0.0.1.evil.example", "::1"}) {
    EXPECT_EQ(error_id(rules.check(request_with(host))), "TRI-HTTP-014") << host;
  }
  rules.is_loopback = false;
  EXPECT_TRUE(rules.check(request_with("evil.example")).ok());
}

TEST(AccessRules, AnOriginIsTheServersOwnOrListed) {
  AccessRules rules;
  rules.allowed_origins = {"https://page.example"};
  EXPECT_TRUE(rules.check(request_with("localhost:8000", "http://localhost:8000")).ok());
  EXPECT_TRUE(rules.check(request_with("localhost:8000", "https://Page.example")).ok());
  EXPECT_FALSE(rules.check(request_with("localhost:8000", "http://localhost:8001")).ok());
  EXPECT_FALSE(rules.check(request_with("localhost:8000", "https://localhost:8000")).ok());
  HttpRequest encrypted = request_with("localhost:8000", "https://localhost:8000");
  encrypted.is_encrypted = true;
  EXPECT_TRUE(rules.check(encrypted).ok());
  EXPECT_FALSE(rules.check(request_with("localhost", "null")).ok());
  rules.allowed_origins = {"*"};
  EXPECT_TRUE(rules.check(request_with("localhost", "null")).ok());
}

TEST(AccessRules, LoopbackAddressesAreKnown) {
  for (const char* host : {"localhost", "127.0.0.1", "127.1.2.3", "::1"}) {
    EXPECT_TRUE(is_loopback_host(host)) << host;
  }
  for (const char* host : {"0.0.0.0", "::", "127.evil.example", "10.0.0.1", ""}) {
    EXPECT_FALSE(is_loopback_host(host)) << host;
  }
}

}  // namespace access_rules_test
}  // namespace trireme::gateway
