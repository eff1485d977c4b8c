#include "model/chat/tool_types.h"

#include <gtest/gtest.h>

namespace trireme {
namespace tool_types_test {

ParameterType type_of(const std::string& schema) {
  const auto tools = read_tool_types(
      R"([{"type": "function", "function": {"name": "f", "parameters": {"properties": {"p": )" +
      schema + "}}}}]");
  EXPECT_TRUE(tools.ok()) << tools.status();
  return tools->at(0).parameters.at(0).second;
}

TEST(ToolTypes, OnlyTextsAreStrings) {
  EXPECT_EQ(type_of(R"({"type": "string"})"), ParameterType::kString);
  EXPECT_EQ(type_of(R"({"enum": ["a", "b"]})"), ParameterType::kString);
  EXPECT_EQ(type_of(R"({"type": ["string", "null"]})"), ParameterType::kStringOrNull);
  EXPECT_EQ(type_of(R"({"anyOf": [{"type": "string"}, {"type": "null"}]})"),
            ParameterType::kStringOrNull);
  for (const char* schema : {R"({"type": "integer"})",
                             R"({"type": ["string", "integer"]})",
                             "{}",
                             "true",
                             R"({"anyOf": 5})",
                             R"({"enum": ["a", 1]})"}) {
    EXPECT_EQ(type_of(schema), ParameterType::kAny) << schema;
  }
}

TEST(ToolTypes, BothFormsOfToolsAreRead) {
  EXPECT_TRUE(read_tool_types("")->empty());
  EXPECT_TRUE(read_tool_types("null")->empty());
  EXPECT_TRUE(read_tool_types("[]")->empty());
  EXPECT_EQ(read_tool_types(R"([{"name": "f"}])")->at(0).name, "f");
  for (const char* json : {"{", "5", "[5]", "[{}]", R"([{"name": 5}])", R"([{"name": ""}])"}) {
    EXPECT_EQ(error_id(read_tool_types(json).status()), "TRI-CHAT-006") << json;
  }
}

}  // namespace tool_types_test
}  // namespace trireme
