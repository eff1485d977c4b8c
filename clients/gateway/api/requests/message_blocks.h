// The system text, messages and tools of /v1/messages as a chat in the OpenAI form. Pure functions.
#pragma once

#include "base/status.h"
#include "clients/gateway/api/requests/field_table.h"

namespace trireme::gateway {

// draft.chat.messages_json from draft.instructions (`system`) and draft.input (`messages`); a last
// message of the assistant is continued. TRI-HTTP-028, -029, -030.
Status read_message_blocks(RequestDraft& draft);

Status read_message_tools(const FieldValue& field, RequestDraft& draft);
// {"type": "auto" | "any" | "tool" | "none", "name", "disable_parallel_tool_use"}
Status read_message_tool_choice(const FieldValue& field, RequestDraft& draft);

}  // namespace trireme::gateway
