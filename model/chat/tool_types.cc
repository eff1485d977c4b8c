#include "model/chat/tool_types.h"

#include "base/json_value.h"
#include "model/chat/rendering/chat_variables.h"

namespace trireme {
namespace {

using Kind = JsonValue::Kind;
constexpr const char* kMalformed = "TRI-CHAT-006";

std::optional<JsonValue> object_at(JsonValue value, std::string_view name) {
  const auto member = value.find(name);
  return member && member->is(Kind::kObject) ? member : std::nullopt;
}

// The kinds of values that a schema allows, as bits.
constexpr unsigned kTextKind = 1;
constexpr unsigned kNullKind = 2;
constexpr unsigned kOtherKind = 4;

unsigned kind_named(JsonValue name) {
  const std::string text = name.is(Kind::kString) ? name.string() : "";
  return text == "string" ? kTextKind : text == "null" ? kNullKind : kOtherKind;
}

unsigned kind_of(JsonValue value) {
  return value.is(Kind::kString) ? kTextKind : value.is(Kind::kNull) ? kNullKind : kOtherKind;
}

template <class Function>
unsigned kinds_in(JsonValue list, const Function& kind) {
  if (!list.is(Kind::kArray)) return kOtherKind;
  unsigned kinds = 0;
  list.each([&](JsonValue element) {
        kinds |= kind(element);
        return ok_status();
      })
      .IgnoreError();
  return kinds;
}

unsigned kinds_of(JsonValue schema) {
  if (!schema.is(Kind::kObject)) return kOtherKind;
  if (const auto type = schema.find("type")) {
    return type->is(Kind::kArray) ? kinds_in(*type, kind_named) : kind_named(*type);
  }
  for (const char* choice : {"anyOf", "oneOf"}) {
    if (const auto schemas = schema.find(choice)) return kinds_in(*schemas, kinds_of);
  }
  if (const auto values = schema.find("enum")) return kinds_in(*values, kind_of);
  return kOtherKind;
}

ParameterType type_of(JsonValue schema) {
  const unsigned kinds = kinds_of(schema);
  if (kinds == kTextKind) return ParameterType::kString;
  return kinds == (kTextKind | kNullKind) ? ParameterType::kStringOrNull : ParameterType::kAny;
}

Status add_tool(JsonValue tool, std::vector<ToolTypes>& tools) {
  const auto wrong = [&](std::string_view fault) {
    return invalid(kMalformed, "tool {} {}; correct the tools", tools.size(), fault);
  };
  if (!tool.is(Kind::kObject)) return wrong("is no object");
  const auto inner = object_at(tool, "function");
  const JsonValue function = inner ? *inner : tool;
  const auto name = function.find("name");
  if (!name || !name->is(Kind::kString) || name->string().empty()) return wrong("has no name");
  ToolTypes types;
  types.name = name->string();
  const auto parameters = object_at(function, "parameters");
  const auto properties = parameters ? object_at(*parameters, "properties") : std::nullopt;
  if (properties) {
    properties
        ->each_member([&](std::string_view key, JsonValue schema) {
          types.parameters.emplace_back(std::string(key), type_of(schema));
          return ok_status();
        })
        .IgnoreError();
  }
  tools.push_back(std::move(types));
  return ok_status();
}

}  // namespace

StatusOr<std::vector<ToolTypes>> read_tool_types(const std::string& tools_json) {
  std::vector<ToolTypes> tools;
  if (tools_json.empty()) return tools;
  ASSIGN_OR_RETURN(
      const JsonValue list,
      JsonValue::parse(tools_json, kMalformed, "tools", JsonNumbers::kAnySize, "send valid JSON"));
  if (list.is(Kind::kNull)) return tools;
  if (!list.is(Kind::kArray)) return invalid(kMalformed, "tools is no list; send a list");
  const size_t count = list.count();
  if (count > kMaxTools) {
    return invalid(kMalformed, "there are {} tools; at most {} are taken", count, kMaxTools);
  }
  RETURN_IF_ERROR(list.each([&](JsonValue tool) { return add_tool(tool, tools); }));
  return tools;
}

}  // namespace trireme
