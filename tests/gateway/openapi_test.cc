// The description of the HTTP interface: made from the tables with which requests are read.
#include "clients/gateway/api/openapi.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>

#include "clients/gateway/api/requests/field_table.h"
#include "tests/gateway/api_fixture.h"

namespace trireme::gateway {
namespace openapi_test {

constexpr OpenApiRoute kRoutes[] = {
    {"POST", "/v1/chat/completions", "chat", true, false, Api::kChatCompletions},
    {"POST", "/v1/messages", "messages", true, false, Api::kMessages},
    {"GET", "/v1/models/{model}/versions/{version}", "a model", true, false, std::nullopt},
    {"GET", "/live", "live", false, false, std::nullopt},
    {"POST", "/v1/embeddings", "later", true, true, std::nullopt},
    {"GET", "/trireme/v1/stream", "the rest", true, false, std::nullopt, true},
};

TEST(OpenApi, HasEveryRouteAndEveryField) {
  const Json document = Json::parse(openapi_document(kRoutes));
  EXPECT_EQ(document["openapi"], "3.1.0");
  EXPECT_EQ(document["paths"].size(), 6U);
  const Json& request = document["components"]["schemas"]["ChatCompletionsRequest"];
  for (const Field* field : fields_of(Api::kChatCompletions)) {
    EXPECT_TRUE(request["properties"].contains(std::string(field->name))) << field->name;
  }
  EXPECT_EQ(request["required"], Json::parse(R"(["messages"])"));
  const Json& model = document["paths"]["/v1/models/{model}/versions/{version}"]["get"];
  EXPECT_EQ(model["parameters"].size(), 2U);
  EXPECT_EQ(document["paths"]["/live"]["get"]["security"], Json::array());
  const Json& rest = document["paths"]["/trireme/v1/stream"]["get"];
  EXPECT_EQ(rest["parameters"][0]["name"], "Trireme-Resume");
  EXPECT_EQ(rest["parameters"][1]["in"], "header");
  EXPECT_TRUE(rest["responses"]["200"]["content"].contains("text/event-stream"));
  EXPECT_FALSE(document["paths"]["/v1/embeddings"]["post"]["responses"].contains("200"));
}

TEST(OpenApi, EveryReferenceHasItsSchema) {
  const Json document = Json::parse(openapi_document(kRoutes));
  const std::function<void(const Json&)> check = [&](const Json& node) {
    if (node.is_object() && node.contains("$ref")) {
      const std::string pointer = node["$ref"].get<std::string>().substr(1);
      EXPECT_TRUE(document.contains(Json::json_pointer(pointer))) << pointer;
    }
    for (const Json& inner : node) {
      if (inner.is_structured()) check(inner);
    }
  };
  check(document);
}

}  // namespace openapi_test
}  // namespace trireme::gateway
