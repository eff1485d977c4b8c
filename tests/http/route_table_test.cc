#include "clients/gateway/route_table.h"

#include <gtest/gtest.h>

namespace trireme::gateway {
namespace route_table_test {

std::string path_matched(std::string_view method, std::string_view target) {
  const RouteMatch match = match_route(method, target);
  return match.route == nullptr ? "" : std::string(match.route->path);
}

TEST(RouteTable, NamesWithSlashesWorkRawAndEncoded) {
  for (const char* target : {"/v1/models/a/b/c", "/v1/models/a%2Fb%2fc", "/v1/models/a/b%2Fc?q"}) {
    EXPECT_EQ(match_route("GET", target).parameter("model"), "a/b/c") << target;
  }
  const RouteMatch version = match_route("GET", "/v1/models/a/b/versions/7/metadata");
  EXPECT_EQ(version.parameter("model"), "a/b");
  EXPECT_EQ(version.parameter("version"), "7");
  const RouteMatch label = match_route("GET", "/v1/models/a/versions/b/labels/x%20y");
  EXPECT_EQ(label.parameter("model"), "a/versions/b");
  EXPECT_EQ(label.parameter("label"), "x y");
  EXPECT_EQ(match_route("GET", "/v2/models/a/b/ready").parameter("model"), "a/b");
}

TEST(RouteTable, EveryRowIsReached) {
  for (const Route& route : routes()) {
    std::string target(route.path);
    for (size_t at = target.find('{'); at != std::string::npos; at = target.find('{')) {
      target.replace(at, target.find('}') - at + 1, "x");
    }
    EXPECT_EQ(path_matched(route.method, target), route.path);
    EXPECT_EQ(path_matched(route.method, "http://host:1" + target + "?a=/b#c"), route.path);
  }
}

TEST(RouteTable, HeadIsAnsweredWhereGetIs) {
  EXPECT_EQ(path_matched("HEAD", "/live"), "/live");
  EXPECT_EQ(path_matched("HEAD", "/v1/messages"), "");
}

TEST(RouteTable, OtherMethodsAreToldTheAllowedOnes) {
  EXPECT_EQ(match_route("DELETE", "/v1/models/x").allow, "GET, HEAD, OPTIONS");
  EXPECT_EQ(match_route("GET", "/v1/completions").allow, "POST, OPTIONS");
  EXPECT_EQ(match_route("GET", "/nothing").allow, "");
  EXPECT_EQ(match_route("GET", "/v1/models/").allow, "");
  EXPECT_EQ(match_route("GET", "").allow, "");
}

TEST(RouteTable, ErrorsOfTheMessagesPathHaveItsForm) {
  EXPECT_EQ(match_route("GET", "/v1/messages/batches").api, Api::kMessages);
  EXPECT_EQ(match_route("GET", "/v1/models").api, Api::kChatCompletions);
}

TEST(RouteTable, HostilePathsEnd) {
  const std::string deep = "/v1/models/" + std::string(8000, '/');
  EXPECT_EQ(path_matched("GET", deep), "/v1/models/{model}");
  std::string nested = "/v1/models";
  for (int i = 0; i < 700; ++i) nested += "/versions/a";
  EXPECT_EQ(path_matched("GET", nested), "/v1/models/{model}/versions/{version}");
  EXPECT_EQ(match_route("GET", "/v1/models/%").parameter("model"), "%");
  EXPECT_EQ(match_route("GET", "/v1/models/%zz%4").parameter("model"), "%zz%4");
}

}  // namespace route_table_test
}  // namespace trireme::gateway
