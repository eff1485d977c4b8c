#include "clients/gateway/gateway_options.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/text.h"
#include "launch/command_lines/cluster_flags.h"
#include "launch/command_lines/gateway_flags.h"

namespace trireme::gateway {
namespace gateway_options_test {

using testing::ElementsAre;

GatewayOptions parsed(const std::vector<std::string>& arguments) {
  GatewayOptions options;
  FlagSet flags("trireme-gateway");
  add_flags(flags, options);
  EXPECT_TRUE(flags.parse(arguments).ok());
  return options;
}

std::string refusal(std::vector<std::string> arguments) {
  arguments.insert(arguments.end(), {"--endpoint", "tcp://127.0.0.1:1"});
  return error_id(check(parsed(arguments)));
}

TEST(GatewayOptions, NeedAnEndpointAndFittingNumbers) {
  EXPECT_EQ(error_id(check(parsed({}))), "TRI-ARGS-010");
  EXPECT_EQ(refusal({}), "");
  EXPECT_EQ(refusal({"--http-port", "65536"}), "TRI-ARGS-010");
  EXPECT_EQ(refusal({"--keep-alive-s", "0"}), "TRI-ARGS-010");
  EXPECT_EQ(refusal({"--request-timeout-s", "-1"}), "TRI-ARGS-010");
}

TEST(GatewayOptions, TlsNeedsBothOfItsFiles) {
  EXPECT_EQ(refusal({"--tls-cert", "c"}), "TRI-HTTP-053");
  EXPECT_EQ(refusal({"--tls-key", "k"}), "TRI-HTTP-053");
  EXPECT_EQ(refusal({"--tls-client-ca", "a"}), "TRI-HTTP-053");
  EXPECT_EQ(refusal({"--tls-cert", "c", "--tls-key", "k", "--tls-client-ca", "a"}), "");
}

TEST(GatewayOptions, OffLoopbackTlsAndKeysAreNeeded) {
  EXPECT_EQ(refusal({"--http-host", "0.0.0.0"}), "TRI-HTTP-054");
  EXPECT_EQ(refusal({"--http-host", "::", "--api-key-file", "f"}), "TRI-HTTP-054");
  EXPECT_EQ(refusal({"--http-host", "10.0.0.1", "--tls-cert", "c", "--tls-key", "k"}),
            "TRI-HTTP-054");
  EXPECT_EQ(
      refusal(
          {"--http-host", "10.0.0.1", "--tls-cert", "c", "--tls-key", "k", "--api-key-file", "f"}),
      "");
  EXPECT_EQ(refusal({"--http-host", "0.0.0.0", "--insecure"}), "");
}

// `trireme up` passes every flag of the gateway on.
TEST(GatewayOptions, AreFlagsOfUp) {
  GatewayOptions options;
  FlagSet own("trireme-gateway");
  add_flags(own, options);
  ClusterFlags cluster;
  GatewayFlags gateway;
  FlagSet up("trireme up");
  add_cluster_flags(up, cluster, /*is_private=*/false);
  add_gateway_flags(up, gateway);
  const std::string known = up.help(true);
  int count = 0;
  for (const std::string& line : split(own.help(true), '\n')) {
    if (!line.starts_with("  --")) continue;
    const std::string flag = line.substr(0, line.find(' ', 3) + 1);
    if (flag == "  --endpoint " || flag.starts_with("  --help")) continue;
    ++count;
    EXPECT_THAT(known, testing::HasSubstr(flag));
  }
  EXPECT_GT(count, 10);
}

TEST(GatewayOptions, ListsAreSplitAtCommas) {
  EXPECT_THAT(words_of("https://a.example, https://b.example,"),
              ElementsAre("https://a.example", "https://b.example"));
  EXPECT_THAT(words_of(""), ElementsAre());
}

}  // namespace gateway_options_test
}  // namespace trireme::gateway
