#include "clients/gateway/api/openapi.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "clients/gateway/api/json_writer.h"
#include "clients/gateway/api/requests/field_table.h"

namespace trireme::gateway {
namespace {

struct ApiName {
  Api api;
  const char* schema;
};

constexpr ApiName kApis[] = {
    {Api::kChatCompletions, "ChatCompletionsRequest"},
    {Api::kCompletions, "CompletionsRequest"},
    {Api::kResponses, "ResponsesRequest"},
    {Api::kMessages, "MessagesRequest"},
    {Api::kCountTokens, "CountTokensRequest"},
    {Api::kTokenize, "TokenizeRequest"},
    {Api::kDetokenize, "DetokenizeRequest"},
};

// Schemas that the fields refer to, and those of errors.
constexpr std::pair<const char*, std::string_view> kSchemas[] = {
    {"ChatMessage",
     R"({"type":"object","required":["role","content"],"properties":{"role":{"enum":["system",)"
     R"("developer","user","assistant","tool","function"]},"content":{"anyOf":[{"type":"string"},)"
     R"({"type":"array","items":{"$ref":"#/components/schemas/TextPart"}}]},)"
     R"("name":{"type":"string"},"tool_call_id":{"type":"string"}}})"},
    {"TextPart",
     R"({"type":"object","required":["type","text"],"properties":{"type":{"const":"text"},)"
     R"("text":{"type":"string"}}})"},
    {"ChatTool",
     R"({"type":"object","required":["type","function"],"properties":{"type":)"
     R"({"const":"function"},"function":{"type":"object","required":["name"],"properties":)"
     R"({"name":{"type":"string","minLength":1},"description":{"type":"string"},)"
     R"("parameters":{"type":"object"},"strict":{"type":"boolean"}}}}})"},
    {"AnthropicMessage",
     R"({"type":"object","required":["role","content"],"properties":{"role":)"
     R"({"enum":["user","assistant"]},"content":{"anyOf":[{"type":"string"},{"type":"array",)"
     R"("items":{"$ref":"#/components/schemas/TextPart"}}]}}})"},
    {"AnthropicTool",
     R"({"type":"object","required":["name","input_schema"],"properties":{"name":)"
     R"({"type":"string","minLength":1},"description":{"type":"string"},)"
     R"("input_schema":{"type":"object"}}})"},
    {"Error",
     R"({"type":"object","required":["error"],"properties":{"error":{"type":"object",)"
     R"("required":["message","type","param","code","id"],"properties":{"message":)"
     R"({"type":"string"},"type":{"type":"string"},"param":{"type":["string","null"]},)"
     R"("code":{"type":["string","null"]},"id":{"type":["string","null"]}}}}})"},
    {"AnthropicError",
     R"({"type":"object","required":["type","error"],"properties":{"type":{"const":"error"},)"
     R"("error":{"type":"object","required":["type","message"],"properties":{"type":)"
     R"({"type":"string"},"message":{"type":"string"}}},"request_id":)"
     R"({"type":["string","null"]}}})"},
};

const char* schema_of(Api api) { return std::ranges::find(kApis, api, &ApiName::api)->schema; }

// null is the same as absent, and all that a refused field without a reader may be.
void write_field(const Field& field, JsonWriter& json) {
  json.key(field.name);
  if (field.is_required) {
    json.raw(field.schema);
    return;
  }
  json.open_object();
  if (field.kind == FieldKind::kRefused && field.read == nullptr) {
    json.member("type", "null");
  } else {
    json.key("anyOf").open_array().raw(field.schema).raw(R"({"type":"null"})").close_array();
  }
  if (field.kind == FieldKind::kTunes) {
    json.member("description", "ignored, and named in trireme-warnings");
  } else if (field.kind == FieldKind::kRefused) {
    json.member("description", field.note.empty() ? "not supported" : field.note);
  }
  json.close_object();
}

void write_request_schema(Api api, JsonWriter& json) {
  json.open_object().member("type", "object").key("properties").open_object();
  for (const Field* field : fields_of(api)) write_field(*field, json);
  json.close_object().key("required").open_array();
  for (const Field* field : fields_of(api)) {
    if (field->is_required) json.string(field->name);
  }
  json.close_array().close_object();
}

void write_content(const char* type, std::string_view schema, JsonWriter& json) {
  json.key(type).open_object().key("schema").raw(schema).close_object();
}

std::string reference(std::string_view schema) {
  return R"({"$ref":"#/components/schemas/)" + std::string(schema) + "\"}";
}

void write_header(const char* name, bool is_required, JsonWriter& json) {
  json.open_object().member("name", name).member("in", "header").member("required", is_required);
  json.key("schema").raw(R"({"type":"string"})").close_object();
}

void write_parameters(const OpenApiRoute& route, JsonWriter& json) {
  const std::string_view path = route.path;
  json.key("parameters").open_array();
  if (route.resumes) {
    write_header("Trireme-Resume", true, json);
    write_header("Last-Event-ID", false, json);
  }
  for (size_t open = path.find('{'); open != std::string_view::npos;
       open = path.find('{', open + 1)) {
    const std::string_view name = path.substr(open + 1, path.find('}', open) - open - 1);
    json.open_object().member("name", name).member("in", "path").member("required", true);
    json.key("schema").raw(R"({"type":"string","minLength":1})").close_object();
  }
  json.close_array();
}

void write_responses(const OpenApiRoute& route, JsonWriter& json) {
  json.key("responses").open_object();
  if (!route.is_later) {
    json.key("200").open_object().member("description", "the answer");
    if (route.body) {
      const bool is_generate = route.body != Api::kCountTokens && route.body != Api::kTokenize &&
                               route.body != Api::kDetokenize;
      json.key("content").open_object();
      write_content("application/json", R"({"type":"object"})", json);
      if (is_generate) write_content("text/event-stream", R"({"type":"string"})", json);
      json.close_object();
    } else if (route.resumes) {
      json.key("content").open_object();
      write_content("text/event-stream", R"({"type":"string"})", json);
      json.close_object();
    }
    json.close_object();
  }
  json.key("default").open_object().member("description", "an error");
  if (route.body || route.is_later || route.resumes) {
    json.key("content").open_object();
    const bool anthropic = route.body && is_anthropic(*route.body);
    write_content("application/json", reference(anthropic ? "AnthropicError" : "Error"), json);
    json.close_object();
  }
  json.close_object().close_object();
}

// "post_v1_chat_completions"
std::string operation_id(const OpenApiRoute& route) {
  std::string id = std::string(route.method) + std::string(route.path);
  for (char& byte : id) {
    const bool is_letter = (byte >= 'a' && byte <= 'z') || (byte >= '0' && byte <= '9');
    if (byte >= 'A' && byte <= 'Z') {
      byte = static_cast<char>(byte - 'A' + 'a');
    } else if (!is_letter) {
      byte = '_';
    }
  }
  return id;
}

void write_operation(const OpenApiRoute& route, JsonWriter& json) {
  json.key(route.method == "GET" ? "get" : "post").open_object();
  json.member("operationId", operation_id(route)).member("summary", route.summary);
  write_parameters(route, json);
  if (!route.needs_key) json.key("security").open_array().close_array();
  if (route.body && !route.is_later) {
    json.key("requestBody").open_object().member("required", true).key("content").open_object();
    write_content("application/json", reference(schema_of(*route.body)), json);
    json.close_object().close_object();
  }
  write_responses(route, json);
  json.close_object();
}

void write_components(JsonWriter& json) {
  json.key("components").open_object().key("schemas").open_object();
  for (const auto& [name, schema] : kSchemas) json.key(name).raw(schema);
  for (const ApiName& api : kApis) {
    json.key(api.schema);
    write_request_schema(api.api, json);
  }
  json.close_object().key("securitySchemes").open_object();
  json.key("bearer").raw(R"({"type":"http","scheme":"bearer"})");
  json.key("key").raw(R"({"type":"apiKey","in":"header","name":"x-api-key"})");
  json.close_object().close_object();
}

}  // namespace

std::string openapi_document(std::span<const OpenApiRoute> routes) {
  std::string out;
  JsonWriter json(out);
  json.open_object().member("openapi", "3.1.0").key("info").open_object();
  json.member("title", "Trireme").member("version", TRIREME_VERSION).close_object();
  // A server without keys takes requests without them: {}.
  json.key("security").raw(R"([{},{"bearer":[]},{"key":[]}])");
  json.key("paths").open_object();
  std::vector<std::string_view> paths;
  for (const OpenApiRoute& route : routes) {
    if (std::ranges::find(paths, route.path) == paths.end()) paths.push_back(route.path);
  }
  for (const std::string_view path : paths) {
    json.key(path).open_object();
    for (const OpenApiRoute& route : routes) {
      if (route.path == path) write_operation(route, json);
    }
    json.close_object();
  }
  json.close_object();
  write_components(json);
  json.close_object();
  return out;
}

}  // namespace trireme::gateway
