// A chat in one JSON line of `run --prompts` and `tokenize --messages`. Its JSON texts are passed
// on as they are written, so that the template sees the numbers and the order of the file. Pure
// functions.
#pragma once

#include <string>
#include <vector>

#include "base/json_value.h"
#include "base/status.h"
#include "model/chat/rendering/chat_request.h"

namespace trireme {

// The fields of a line that read_chat() reads.
const std::vector<std::string>& chat_fields();

// {"messages": [...], "tools"?, "tool_choice"?, "parallel_tool_calls"?, "documents"?,
// "chat_template_kwargs"?, "add_generation_prompt"?, "continue_final_message"?} as in the OpenAI
// API; null counts as absent. `id`: a field is of the wrong type.
StatusOr<ChatRequest> read_chat(JsonValue line, const char* id);

}  // namespace trireme
