// The parts of a chat in the OpenAI form: checks of messages and tools, whose texts go to the door
// as they came, and the template variables that fields stand for. Pure functions.
#pragma once

#include "base/status.h"
#include "clients/gateway/api/requests/field_table.h"

namespace trireme::gateway {

constexpr size_t kMaxMessages = 4096;
constexpr size_t kMaxTools = 1024;

// Readers. TRI-HTTP-028 too many, -029 a message, -030 a part that is no text, -031 a tool.
Status read_messages_field(const FieldValue& field, RequestDraft& draft);
Status read_tools(const FieldValue& field, RequestDraft& draft);
Status read_tool_choice(const FieldValue& field, RequestDraft& draft);
Status read_parallel_tool_calls(const FieldValue& field, RequestDraft& draft);
Status read_reasoning_effort(const FieldValue& field, RequestDraft& draft);

// A tool's name, which draft.tool_names then holds.
Status add_tool_name(std::string_view subject, JsonValue function, RequestDraft& draft);
// The choice of one tool: it must be among the tools.
Status choose_tool(const std::string& name, RequestDraft& draft);

// After all fields: tool_choice against the tools, the generation prompt, and kwargs_json.
Status finish_chat(RequestDraft& draft);

}  // namespace trireme::gateway
