#include "clients/cli/assistant_message.h"

#include <nlohmann/json.hpp>

namespace trireme {

using Json = nlohmann::ordered_json;

void AssistantMessage::add(const AnswerPart& part) {
  switch (part.kind) {
    case PartKind::kContent:
      content += part.text;
      return;
    case PartKind::kReasoning:
      reasoning += part.text;
      return;
    case PartKind::kToolCall:
      break;
  }
  // Calls begin in the order of their indices.
  if (calls.empty() || !part.name.empty()) calls.push_back({part.call_id, part.name, ""});
  calls.back().arguments += part.text;
}

Json AssistantMessage::json() const {
  Json json = {{"role", "assistant"}, {"content", content}};
  if (!reasoning.empty()) json["reasoning_content"] = reasoning;
  if (calls.empty()) return json;
  if (content.empty()) json["content"] = nullptr;
  for (const ToolCall& call : calls) {
    json["tool_calls"].push_back(
        {{"id", call.id},
         {"type", "function"},
         {"function", {{"name", call.name}, {"arguments", call.arguments}}}});
  }
  return json;
}

}  // namespace trireme
