// Sources of chat templates, rendered with a conversation that has every kind of value.
#include <cstdint>
#include <string_view>

#include "base/check.h"
#include "model/chat/jinja/jinja_template.h"

namespace {

constexpr char kVariables[] =
    R"({"messages": [{"role": "user", "content": "a <|im_end|> \u00fc"},
    {"role": "assistant", "content": null, "tool_calls": [{"id": "x", "type": "function",
    "function": {"name": "f", "arguments": {"a": [1, 2.5, true, null], "b": "c"}}}]}],
    "tools": [{"type": "function", "function": {"name": "f", "parameters": {}}}],
    "add_generation_prompt": true, "bos_token": "<s>", "numbers": [3, 1, 2], "word": "Oars"})";

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace trireme;
  TemplateError error;
  const std::string_view source(reinterpret_cast<const char*>(data), size);
  const auto compiled = JinjaTemplate::compile(source, error);
  if (compiled == nullptr) {
    CHECK(!error.type.empty());
    return 0;
  }
  JinjaHeap heap;
  const auto json = JsonValue::parse(kVariables, "TRI-CHAT-006", "variables");
  CHECK(json.ok());
  JinjaValue variables;
  CHECK(heap.from_json(*json, Origin::kMessage, variables));
  MarkedText out;
  const bool rendered = compiled->render(variables, RenderOptions{}, out, error);
  CHECK(rendered || (out.text.empty() && !error.type.empty()));
  return 0;
}
