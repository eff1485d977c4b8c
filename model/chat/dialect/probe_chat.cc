#include "model/chat/dialect/probe_chat.h"

#include "base/text.h"
#include "model/chat/answer/json_scanner.h"

namespace trireme {
namespace {

constexpr int64_t kProbeTimeS = 1720170247;  // any: templates print the date
constexpr const char* kTools =
    R"([{"type": "function", "function": {"name": "zq_first", "description": "First.",)"
    R"( "parameters": {"type": "object", "properties": {)"
    R"("zq_key": {"type": "string", "description": "A text."},)"
    R"( "zq_last": {"type": "string", "description": "A text."},)"
    R"( "zq_count": {"type": "integer", "description": "A number."},)"
    R"( "zq_flag": {"type": "boolean", "description": "A flag."},)"
    R"( "zq_nested": {"type": "object", "description": "An object."}}, "required": ["zq_key"]}}},)"
    R"( {"type": "function", "function": {"name": "zq_other", "description": "Other.",)"
    R"( "parameters": {"type": "object", "properties": {)"
    R"("zq_key": {"type": "string", "description": "A text."}}, "required": []}}}])";

std::string quoted(std::string_view text) {
  std::string json;
  append_json_string(text, json);
  return json;
}

}  // namespace

std::string probe_tools() { return kTools; }

std::string probe_user() {
  return format_text(R"({{"role": "user", "content": "{}"}})", kProbeUser);
}

std::string probe_result(const std::string& id, std::string_view name) {
  return format_text(R"({{"role": "tool", "tool_call_id": "{}", "name": "{}", "content": "{}"}})",
                     id,
                     name,
                     kProbeResult);
}

std::string probe_message(const ProbeAnswer& answer, bool short_ids) {
  std::string json = R"({"role": "assistant", "content": )" + quoted(answer.content);
  if (!answer.reasoning.empty()) json += R"(, "reasoning_content": )" + quoted(answer.reasoning);
  for (size_t i = 0; i < answer.calls.size(); ++i) {
    json += i == 0 ? R"(, "tool_calls": [)" : ", ";
    const std::string_view id = (short_ids ? kProbeShortIds : kProbeLongIds)[i];
    json += format_text(
        R"({{"id": "{}", "type": "function", "function": {{"name": "{}", "arguments": {}}}}})",
        id,
        answer.calls[i].name,
        answer.calls[i].arguments);
  }
  return json + (answer.calls.empty() ? "}" : "]}");
}

std::optional<std::string> ProbeChat::render(const std::vector<std::string>& messages,
                                             bool with_tools,
                                             bool add_generation_prompt) {
  error_.clear();
  ChatRequest request;
  request.messages_json = "[" + join(messages) + "]";
  if (with_tools) request.tools_json = kTools;
  auto chat = template_.render(request, add_generation_prompt, kProbeTimeS);
  if (!chat.ok()) {
    error_ = message_without_id(chat.status());
    return std::nullopt;
  }
  return std::move(chat->marked.text);
}

}  // namespace trireme
