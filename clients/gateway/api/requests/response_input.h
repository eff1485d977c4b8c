// The input of /v1/responses as a chat, and its tools. Pure functions.
#pragma once

#include "base/status.h"
#include "clients/gateway/api/requests/field_table.h"

namespace trireme::gateway {

// draft.chat.messages_json from draft.input and draft.instructions. TRI-HTTP-028, -029, -030;
// TRI-HTTP-024 for items that refer to kept state.
Status read_response_input(RequestDraft& draft);

// draft.chat.tools_json from the flat functions of this API; other tools are left out and named.
Status read_response_tools(const FieldValue& field, RequestDraft& draft);

}  // namespace trireme::gateway
