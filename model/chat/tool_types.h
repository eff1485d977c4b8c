// The names of a request's tools and the types of their parameters. Pure functions.
#pragma once

#include <string>
#include <vector>

#include "base/status.h"
#include "model/chat/answer/answer_format.h"

namespace trireme {

// `tools_json`: a list of {"type": "function", "function": {"name", "parameters"}}, or of the inner
// objects; "": none. Error TRI-CHAT-006.
StatusOr<std::vector<ToolTypes>> read_tool_types(const std::string& tools_json);

}  // namespace trireme
